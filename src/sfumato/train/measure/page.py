"""An evaluation as a page: tables in words, and the pictures that the judges saw, none chosen."""

from collections.abc import Mapping, Sequence
from io import BytesIO

from PIL import Image, ImageDraw

from sfumato.train.measure.asks import Ask
from sfumato.train.measure.evaluation import Evaluation
from sfumato.train.measure.figures import Share
from sfumato.train.measure.rows import Row, Told, mistaken
from sfumato.train.measure.verdicts import Verdict
from sfumato.train.stylize import Picture

__all__ = ["page", "samples"]

_ACROSS, _MARK = 12, 4
_EXPLAINED = (
    "Every figure is a share in percent, ± half its 95 % interval in points. The same judges, "
    "made anew without the drawings in question, were shown real drawings of what was asked: "
    "*unseen drawings* is what they got right of these, and *after the autoencoder* what they got "
    "right once the same had been encoded and decoded by this model, which is as well as they know "
    "a stranger's perfect work. A model may get more: it was trained on drawings that the judges "
    "know. *Chance* is what guessing would give.",
    "",
    "Judges are linear, on features of EfficientNet-Lite0 (trained on photographs) and on a "
    "picture's colours; the judge of looks also on which early features come together. They learnt "
    "from every real drawing, held-out ones too, clean and softened "
    "by blur, smaller sizes, noise, JPEG and shifts of colour; never from a model's autoencoder.",
)
_RIGHT, _WRONG, _PAPER = "#2e8b57", "#c0392b", "#f7f5f0"


def page(made: Evaluation, model: str, facts: Sequence[str]) -> str:
    """The page in Markdown; ``facts`` are lines on how it came about."""
    groups = list(dict.fromkeys(ask.group for ask, _, _ in made.samples))
    lines = [
        f"# {model}, measured",
        "",
        *_folded(facts),
        "",
        *_EXPLAINED,
        "",
        *_table(made.rows),
        "",
        "## Styles",
        "",
        "What the judge named instead, where that is 5 % or more of a style's pictures.",
        "",
        *_styles(made.told),
        "",
        "## Near-copies",
        "",
        "Near is what lies closer to a training picture than 99 % of the drawings of one subject "
        "by different hands lie to each other.",
        "",
        *_plain_table(made.memory),
        "",
        "## Fidelity and diversity",
        "",
        *_distances(made),
        "",
        "## Guidance and steps",
        "",
        "The same prompts and seeds throughout, so that rows differ less than their intervals.",
        "",
        *_curve(made.curve),
        "",
        "## What the judges saw",
        "",
        f"The first of every group, a row each: {', '.join(groups)}. Below a picture is green what "
        "the judge of subjects knew, and red what it did not: of several one of them, of two both "
        "among its first five guesses.",
        "",
        "![The first pictures of every group](evaluation.webp)",
        "",
    ]
    return "\n".join(lines)


def _styles(told: Told) -> list[str]:
    return [
        "| asked for | right | pictures | taken for |",
        "|---|---|---|---|",
        *(
            f"| {style} | {right.percent:.0f} ± {right.within:.0f} | {count} "
            f"| {', '.join(f'{other} {percent:.0f}' for other, percent in others)} |"
            for style, count, right, others in mistaken(told)
        ),
    ]


def _distances(made: Evaluation) -> list[str]:
    lines = ["| | model | real drawings |", "|---|---|---|"]
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
    return lines


def _curve(curve: Sequence[Mapping[str, float]]) -> list[str]:
    return [
        "| steps | guidance | subject | style |",
        "|---|---|---|---|",
        *(
            f"| {point['steps']:.0f} | {point['guidance']:g} "
            f"| {point['subject']:.1f} ± {point['subject within']:.1f} "
            f"| {point['style']:.1f} ± {point['style within']:.1f} |"
            for point in curve
        ),
    ]


def samples(shown: Sequence[tuple[Ask, Picture, Verdict]]) -> bytes:
    """A row of pictures for every group, each marked by what the judge said: a WebP file."""
    groups: dict[str, list[tuple[Picture, bool]]] = {}
    for ask, picture, verdict in shown:
        groups.setdefault(ask.group, []).append((picture, _known(verdict)))
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


def _known(verdict: Verdict) -> bool:
    """Whether the judge of subjects knew what is shown; of several one, of two both."""
    if verdict.both is not None:
        return verdict.both <= 5
    return (verdict.subject if verdict.one is None else verdict.one) == 1


def _folded(facts: Sequence[str]) -> list[str]:
    return [f"- {fact}" for fact in facts]


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| | percent | unseen drawings | after the autoencoder | chance | pictures |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        chance = "" if row.chance is None else f"{row.chance:.1f}"
        shares = " | ".join(_share(it) for it in (row.value, row.ceiling, row.after))
        lines.append(f"| {row.name} | {shares} | {chance} | {row.value.count:,} |")
    return lines


def _plain_table(rows: Sequence[Row]) -> list[str]:
    lines = ["| | percent | chance | pictures |", "|---|---|---|---|"]
    for row in rows:
        chance = "" if row.chance is None else f"{row.chance:.1f}"
        lines.append(f"| {row.name} | {_share(row.value)} | {chance} | {row.value.count:,} |")
    return lines


def _share(it: Share | None) -> str:
    return "" if it is None else f"{it.percent:.1f} ± {it.within:.1f}"
