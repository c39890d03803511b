"""`sfumato train`: the data, the trainings, the model's file, and a look at what it paints.

Without a further word it trains from the pictures to the file, or goes on where it was stopped.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfumato.cli.evaluate import evaluate
from sfumato.cli.screen import columns, duration, note, say
from sfumato.cli.training import (
    DATA,
    PACKAGES,
    RUN,
    Batch,
    Begin,
    Compile,
    Config,
    Device,
    Folder,
    Order,
    Pictures,
    Precision,
    Steps,
    Threads,
    as_ordered,
    model_file,
    numbers,
    prepared,
    stopping,
    tell,
)
from sfumato.errors import RequestError

if TYPE_CHECKING:
    from PIL import Image

app = typer.Typer(
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    add_completion=False,
)


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
        _require_crops(order)
        if (folder / "vae.safetensors").exists():
            note("Autoencoder: trained already.")
        elif begin == "nothing":
            _train_autoencoder(order)
        _train_denoiser(order)
        _train_decoder(order)
        _train_naming(order)
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

    path = model_file(begin)
    recipe, where = prepared(order, FROM_NOTHING if path is None else FROM_A_MODEL)
    recipe = as_ordered(order, recipe)
    size = recipe.scenes.size
    captioned = gather(data, size, shape, objection(recipe.denoiser.length))
    count, held = len(captioned.captions), len(captioned.held())
    note(f"{count:,} pictures of {size} x {size}, {held:,} of them only to judge by.")
    with stopping() as stop:
        train_new(recipe, captioned, folder, where, tell, begin=path, stop=stop)
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
def decoder(
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train the first part's decoder once more, on what the second part paints."""
    _train_decoder(Order(data, folder, config, device, threads, False, steps, batch))


@app.command()
def naming(
    data: Pictures = DATA,
    folder: Folder = RUN,
    config: Config = None,
    steps: Steps = None,
    batch: Batch = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Train the reader to know what is meant by names that the model was not shown."""
    _train_naming(Order(data, folder, config, device, threads, False, steps, batch))


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
    precision: Precision = "auto",
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
    path = model_file(begin)
    if path is None:
        raise RequestError("A comparison needs a model whose autoencoder is taken; give --from.")
    orders = [Order(data, folder, config, device, threads, None) for config in recipes]
    from sfumato.train.beginning import autoencoder_of
    from sfumato.train.compare import compare as train
    from sfumato.train.compare import table

    begun = [prepared(order) for order in orders]
    wanted = {name: recipe for name, (recipe, _) in zip(names, begun, strict=True)}
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise RequestError(f"{folder / taken[0]} is there already; take another --folder.")
    where, vae = begun[0][1], autoencoder_of(path)

    made = train(wanted, data, vae, folder, where, 60 * minutes, tell)
    say(table(made).rstrip())


app.command()(evaluate)


def _require_crops(order: Order) -> None:
    """Both at once, so that the second is not found out hours after the first."""
    recipe, _ = prepared(order)
    from sfumato.catalog import MINI
    from sfumato.train.autoencoder import require_crop

    factor = MINI.vae.factor
    if order.begin == "nothing" and not (order.folder / "vae.safetensors").exists():
        require_crop("autoencoder", recipe.autoencoder.crop, factor, recipe.drawings.size)
    if recipe.decoder.scenes:
        require_crop("decoder", recipe.decoder.crop, factor, recipe.decoder_scenes.size)


def _train_autoencoder(order: Order) -> None:
    recipe, device = prepared(order)
    from sfumato.train.bundled import train_autoencoder
    from sfumato.train.scenes import Scenes

    loop, part = numbers(order, recipe.autoencoder_loop, recipe.autoencoder)
    recipe = replace(recipe, autoencoder=part, autoencoder_loop=loop)
    note(f"Autoencoder: {recipe.pictures:,} pictures, {loop.steps:,} steps of {part.batch}.")
    with stopping() as stop:
        scenes = Scenes(order.data, recipe.drawings)
        train_autoencoder(recipe, scenes, order.folder, device, tell, stop=stop)
    say(str(order.folder / "vae.safetensors"))


def _train_denoiser(order: Order) -> None:
    recipe, device = prepared(order)
    from sfumato.train.beginning import parts_of
    from sfumato.train.bundled import adapter_comes_first, train_denoiser
    from sfumato.train.scenes import Scenes

    recipe = as_ordered(order, recipe)
    loop, part = recipe.denoiser_loop, recipe.denoiser
    note(f"Denoiser: {part.bank:,} pictures, {loop.steps:,} steps of {part.batch}.")
    if adapter_comes_first(recipe, order.folder):
        note(f"Before them {recipe.adapter_loop.steps:,} steps of the adapter alone, on words.")
    path = model_file(order.begin)
    parts = None if path is None else parts_of(path)
    with stopping() as stop:
        scenes = Scenes(order.data, recipe.scenes)
        train_denoiser(recipe, scenes, order.folder, device, tell, begin=parts, stop=stop)
    say(str(order.folder / "unet.safetensors"))
    say(str(order.folder / "adapter.safetensors"))


def _train_decoder(order: Order) -> None:
    recipe, device = prepared(order)
    from sfumato.train.polish import DECODER, begins_anew, is_polished, train_decoder
    from sfumato.train.scenes import Scenes

    loop, part = numbers(order, recipe.decoder_loop, recipe.decoder)
    if part.scenes == 0:
        note("Decoder: stays as it is, for the recipe's decoder.scenes is 0.")
        if (order.folder / DECODER).exists():
            note(f"{order.folder / DECODER} goes into the file all the same, until it is removed.")
        return
    recipe = replace(recipe, decoder=part, decoder_loop=loop)
    if is_polished(recipe, order.folder):
        note("Decoder: trained already.")
        return
    if begins_anew(recipe, order.folder):
        note("Decoder: the one in the folder is of other parts or another recipe; it begins anew.")
    note(
        f"Decoder: {loop.steps:,} steps of {part.batch}, after {part.scenes:,} pictures are drawn "
        "and the denoiser has guessed at them."
    )
    with stopping() as stop:
        scenes = Scenes(order.data, recipe.decoder_scenes)
        train_decoder(recipe, scenes, order.folder, device, tell, stop=stop)
    say(str(order.folder / DECODER))


def _train_naming(order: Order) -> None:
    recipe, device = prepared(order)
    from sfumato.train.names import NAMING, is_named, train_naming
    from sfumato.train.scenes import Scenes

    loop, part = numbers(order, recipe.naming_loop, recipe.naming)
    if part.captions == 0:
        note("Names: the model has none, for the recipe's naming.captions is 0.")
        if (order.folder / NAMING).exists():
            note(f"{order.folder / NAMING} is still there; remove it and the file has no names.")
        return
    recipe = replace(recipe, naming=part, naming_loop=loop)
    scenes = Scenes(order.data, recipe.naming_scenes)
    if is_named(recipe, scenes, order.folder):
        note("Names: learnt already.")
        return
    note(f"Names: {loop.steps:,} steps of {part.batch}, of {part.captions:,} captions.")
    with stopping() as stop:
        train_naming(recipe, scenes, order.folder, device, tell, stop=stop)
    say(str(order.folder / NAMING))
