"""`sfumato train evaluate`: a model measured by what it paints, and the report of it written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.screen import columns, duration, note, say
from sfumato.cli.training import DATA, Config, Device, Pictures, Precision

if TYPE_CHECKING:
    from sfumato.families.base import Family
    from sfumato.train.measure.asks import Ask
    from sfumato.train.measure.ceilings import Through
    from sfumato.train.measure.evaluation import Evaluation, Painter
    from sfumato.train.measure.paint import Settings
    from sfumato.train.stylize import Picture

_REPORT = ("evaluation.json", "evaluation.md", "evaluation.webp")
_HEARD = 320  # pictures from one word on the screen to the next
_BATCH = 16  # pictures that go through the autoencoder together


def evaluate(
    model: Annotated[str, typer.Argument(help="A name, a file or a folder.")] = "mini",
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report and its pictures go.")
    ] = Path("out/evaluation"),
    data: Pictures = DATA,
    portion: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0.01,
            max=4.0,
            help="How much is asked; at 1 the figures sought are sure to 2.5 points.",
        ),
    ] = 1.0,
    config: Config = None,
    device: Device = "auto",
    precision: Precision = "fp32",
) -> None:
    """Measure a model: what it was asked for and painted, judged by features of real drawings.

    The judges are made once from the packed pictures, and kept beside them. Painted is in fp32, so
    that figures do not depend on the processor, unless told otherwise.
    """
    from sfumato.engine import Engine
    from sfumato.images import check_output
    from sfumato.request import Request
    from sfumato.train.measure.evaluation import Bench, Measured
    from sfumato.train.measure.evaluation import evaluate as judge
    from sfumato.train.measure.features import find_eye
    from sfumato.train.measure.judges import judges
    from sfumato.train.measure.reals import Reals
    from sfumato.train.recipe import Recipe
    from sfumato.train.scenes import Scenes
    from sfumato.train.settings import read_recipe

    begun = time.monotonic()
    for name in _REPORT:
        check_output(out / name)
    recipe = Recipe() if config is None else read_recipe(config)
    scenes = Scenes(data, replace(recipe.scenes, focus=True))  # the list that judges know
    run = Engine(device, precision, model=model).submit(Request("", seed=1, steps=1))
    family = next(iter(run)).model
    eye = find_eye().to(family.device)
    reals = Reals(data, [style for style, weight in recipe.scenes.styles if weight > 0])
    note("The judges: read, or made of some sixteen thousand real drawings in several minutes.")
    made = judges(reals, eye, data.parent)
    note(f"Judges after {duration(time.monotonic() - begun)}. Painting.")
    guidance = family.spec.defaults.guidance
    measured = Measured(_painter(family), guidance, _through(family))
    found = judge(measured, scenes, Bench(reals, made, eye), portion=portion)
    took = duration(time.monotonic() - begun)
    facts = [
        f"`sfumato train evaluate {model} --portion {portion:g}`, sha256 {run.sha256}",
        f"{found.settings.steps} steps, guidance {found.settings.guidance:g}, {took} in all",
    ]
    _report(found, model, facts, out)


def _painter(family: Family) -> Painter:
    """Paints what is asked with the model, and says now and then how far it is."""
    from sfumato.train.measure.paint import paint

    done = 0

    def painted(some: Sequence[Ask], settings: Settings) -> Picture:
        nonlocal done
        before, done = done, done + len(some)
        pictures = paint(family, [(ask.prompt, ask.seed) for ask in some], settings)
        if before // _HEARD < done // _HEARD:
            note(f"{done:,} pictures")
        return pictures

    return painted


def _through(family: Family) -> Through:
    """Encodes pictures with the model's autoencoder, and decodes them."""
    import numpy as np
    import torch

    from sfumato.images import to_images
    from sfumato.train.autoencoder import to_unit

    def through(pictures: Picture) -> Picture:
        parts: list[Picture] = []
        for first in range(0, len(pictures), _BATCH):
            some = to_unit(torch.from_numpy(pictures[first : first + _BATCH])).to(family.device)
            decoded = family.decode(family.encode_picture(some))
            parts += [np.asarray(image) for image in to_images(decoded)]
        return np.stack(parts)

    return through


def _report(found: Evaluation, model: str, facts: list[str], out: Path) -> None:
    """Writes the report's files, and its figures on the screen."""
    from sfumato.images import write
    from sfumato.train.measure.page import page, samples

    contents = (
        found.as_json().encode(),
        page(found, model, facts).encode(),
        samples(found.samples),
    )
    for name, content in zip(_REPORT, contents, strict=True):
        write(content, out / name)
    columns(
        [
            (row.name, f"{row.value.percent:.1f} ± {row.value.within:.1f} %")
            for row in (*found.rows, *found.memory)
        ]
    )
    say(str(out / "evaluation.md"))
