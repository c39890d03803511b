"""What the commands of `sfumato train` share: their options, an order, the recipe and the device
that it comes to, Ctrl-C and the lines of the log.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sfumato.cli.screen import duration, note
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from types import FrameType

    import torch

    from sfumato.train.autoencoder import AutoencoderConfig
    from sfumato.train.decoder import DecoderConfig
    from sfumato.train.denoiser import DenoiserConfig
    from sfumato.train.loop import LoopConfig, Stop
    from sfumato.train.naming import NamingConfig
    from sfumato.train.recipe import Recipe

Part = TypeVar("Part", bound="AutoencoderConfig | DecoderConfig | DenoiserConfig | NamingConfig")

DATA, RUN, PACKAGES = Path("data/emoji.zip"), Path("runs/mini"), Path("data/packages")

Pictures = Annotated[Path, typer.Option("--data", metavar="FILE", help="The packed pictures.")]
Folder = Annotated[
    Path, typer.Option("--folder", metavar="RUN", help="Where the training lies and goes on.")
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="A recipe; else that of the bundled model.")
]
Begin = Annotated[
    str, typer.Option("--from", metavar="MODEL", help="mini, a file made here, or nothing.")
]
Steps = Annotated[int | None, typer.Option(metavar="N", min=1, help="In place of the recipe's.")]
Batch = Annotated[int | None, typer.Option(metavar="N", min=1, help="In place of the recipe's.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Of the processor; else as torch likes it.")
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile", help="Faster steps after a slow start.", show_default=False
    ),
]


@dataclass(frozen=True)
class Order:
    """What a training was asked for."""

    data: Path
    folder: Path
    config: Path | None
    device: str
    threads: int | None
    compiled: bool | None
    steps: int | None = None
    batch: int | None = None
    begin: str = "nothing"


def model_file(name: str) -> Path | None:
    """The file of the model to begin from; None for nothing."""
    from sfumato.catalog import MINI
    from sfumato.shipped import shipped

    if name == "nothing":
        return None
    if name != MINI.name:
        return Path(name)
    assert MINI.asset is not None
    return shipped(MINI.asset)


def as_ordered(order: Order, recipe: Recipe) -> Recipe:
    """The recipe with the denoiser's steps and batch as they were ordered."""
    loop, part = numbers(order, recipe.denoiser_loop, recipe.denoiser)
    return replace(recipe, denoiser=part, denoiser_loop=loop)


def numbers(order: Order, loop: LoopConfig, part: Part) -> tuple[LoopConfig, Part]:
    """A training's steps, and the batch of its part, as they were ordered."""
    loop = loop if order.steps is None else replace(loop, steps=order.steps)
    return loop, part if order.batch is None else replace(part, batch=order.batch)


def prepared(order: Order, usual: Recipe | None = None) -> tuple[Recipe, torch.device]:
    """The recipe and the device, checked before anything that takes time."""
    import torch

    from sfumato.engine import choose_device
    from sfumato.train.recipe import Recipe
    from sfumato.train.settings import read_recipe

    if order.threads is not None:
        torch.set_num_threads(order.threads)
    device = choose_device(order.device)
    usual = Recipe() if usual is None else usual
    recipe = usual if order.config is None else read_recipe(order.config, usual)
    if order.compiled is not None:
        recipe = replace(recipe, compiled=order.compiled)
    compilers = ("g++", "c++", "clang++")
    if recipe.compiled and device.type == "cpu" and not any(map(shutil.which, compilers)):
        raise RequestError(
            "Compiling the networks needs a C++ compiler, and there is none here.\n"
            "  Install g++, or train somewhat slower with --no-compile."
        )
    return recipe, device


@contextmanager
def stopping() -> Generator[Stop, None, None]:
    """Ctrl-C is heard between two steps, once there are steps; before, or twice, it is at once.

    So is the system's polite request to end, as a machine that shuts down makes it.
    """
    steps = asked = False

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked or not steps:
            raise KeyboardInterrupt
        asked = True
        note("Stopping after this step. Ctrl-C again: at once, and what is not saved is lost.")

    def stop() -> bool:
        nonlocal steps
        steps = True
        return asked

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell(line: dict[str, float]) -> None:
    """Prints a line of the log in words."""
    names = {
        "loss": "loss",
        "lesson": "lesson",
        "plain_right": "right in plain words",
        "said_right": "in any",
        "held_psnr": "held dB",
        "guess_psnr": "of guesses",
        "seen_loss": "seen",
        "held_loss": "held",
        "held_right": "right of names never taught",
        "taught_right": "of taught ones",
    }
    step, steps, each = int(line["step"]), int(line["steps"]), line["seconds_a_step"]
    words = [f"step {step:,} of {steps:,}"]
    words += [f"{name} {line[key]:.4g}" for key, name in names.items() if key in line]
    words += [f"{each:.2f} s a step"]
    words += [f"{duration(each * (steps - step))} left"] if step < steps else []
    note(", ".join(words))
