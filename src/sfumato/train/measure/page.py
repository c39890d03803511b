"""An evaluation as a page: tables in words, and the pictures that the judges saw, none chosen."""

from collections.abc import Sequence
from io import BytesIO

from PIL import Image, ImageDraw

from sfumato.train.measure.asks import Ask
from sfumato.train.measure.evaluation import Evaluation, Row
from sfumato.train.stylize import Picture

__all__ = ["page", "samples"]

_ACROSS, _MARK = 12, 4
_RIGHT, _WRONG, _PAPER = "#2e8b57", "#c0392b", "#f7f5f0"


def page(made: Evaluation, model: str, facts: Sequence[str]) -> str:
    """The page in Markdown; ``facts`` are lines on how it came about."""
    lines = [
        f"# {model}, measured",
        "",
        *_folded(facts),
        "",
        "Every figure is a share in percent, ± half its 95 % interval in points. *Ceiling* is what "
        "the judge makes of real drawings that it never saw, *chance* what guessing would.",
        "",
        *_table(made.rows),
        "",
        "## Near-copies",
        "",
        "Near is what lies closer to a training picture than 99 % of the drawings of one subject "
        "by different hands lie to each other.",
        "",
        *_table(made.memory),
        "",
        "## Fidelity and diversity",
        "",
        "| | model | real drawings |",
        "|---|---|---|",
    ]
    f, d = made.fidelity, made.diversity
    if f:
        lines += [
            f"| Fréchet distance | {f['frechet']:.1f} | {f['frechet floor']:.1f} |",
            f"| kernel distance, times 1,000 | {f['kernel']:.2f} | {f['kernel floor']:.2f} |",
        ]
    if d:
        lines += [
            f"| distance between seeds, between hands | {d['between seeds']:.3f} "
            f"| {d['between hands']:.3f} |",
            f"| pairs of seeds that gave nearly the same picture | {d['same picture']:.1f} % | |",
        ]
    lines += [
        "",
        "## Guidance and steps",
        "",
        "The same prompts and seeds throughout, so that rows differ less than their intervals.",
        "",
        "| steps | guidance | subject | style |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {point['steps']:.0f} | {point['guidance']:g} "
        f"| {point['subject']:.1f} ± {point['subject within']:.1f} "
        f"| {point['style']:.1f} ± {point['style within']:.1f} |"
        for point in made.curve
    ]
    groups = list(dict.fromkeys(ask.group for ask, _, _ in made.samples))
    lines += [
        "",
        "## What the judges saw",
        "",
        f"The first of every group, a row each: {', '.join(groups)}. Below a picture is green what "
        "the judge of subjects knew, and red what it did not.",
        "",
        "![The first pictures of every group](evaluation.webp)",
        "",
    ]
    return "\n".join(lines)


def samples(shown: Sequence[tuple[Ask, Picture, bool]]) -> bytes:
    """A row of pictures for every group, each marked by what the judge said: a WebP file."""
    groups: dict[str, list[tuple[Picture, bool]]] = {}
    for ask, picture, right in shown:
        groups.setdefault(ask.group, []).append((picture, right))
    side = shown[0][1].shape[0]
    sheet = Image.new("RGB", (_ACROSS * side, len(groups) * (side + _MARK)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, pictures in enumerate(groups.values()):
        for column, (picture, right) in enumerate(pictures[:_ACROSS]):
            x, y = column * side, row * (side + _MARK)
            sheet.paste(Image.fromarray(picture), (x, y))
            box = (x, y + side, x + side - 2, y + side + _MARK - 1)
            draw.rectangle(box, fill=_RIGHT if right else _WRONG)
    out = BytesIO()
    sheet.save(out, "WEBP", quality=85)
    return out.getvalue()


def _folded(facts: Sequence[str]) -> list[str]:
    return [f"- {fact}" for fact in facts]


def _table(rows: Sequence[Row]) -> list[str]:
    lines = ["| | percent | ceiling | chance | pictures |", "|---|---|---|---|---|"]
    for row in rows:
        ceiling = "" if row.ceiling is None else f"{row.ceiling.percent:.1f}"
        chance = "" if row.chance is None else f"{row.chance:.1f}"
        value = f"{row.value.percent:.1f} ± {row.value.within:.1f}"
        lines.append(f"| {row.name} | {value} | {ceiling} | {chance} | {row.value.count:,} |")
    return lines
