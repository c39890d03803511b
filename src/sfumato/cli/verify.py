"""`sfumato verify`: pictures made again from their own recipes, and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import typer

from sfumato.choose.verify import Claim, Verdict, judge, read_claim
from sfumato.cli.configuration import shelves
from sfumato.cli.machine import EngineLike, MakeEngine
from sfumato.cli.same_model import nearest_model, nearest_refiner
from sfumato.cli.screen import Progress, error, note
from sfumato.cli.stop import TERMINATED, Terminated, terminable
from sfumato.errors import PictureError, SfumatoError
from sfumato.request import Request
from sfumato.source import Source

__all__ = ["Check", "verify"]

EQUAL, DIFFERS, CANNOT = 0, 1, 2
_WITHOUT: Mapping[str, str] = {
    "vae": "with the VAE of its own model",
    "text_encoders": "with the text encoders of its own model",
    "refiner": "without a refiner",
}


@dataclass(frozen=True)
class Check:
    """What to verify, and with what: the pictures to start from, a model, a machine.

    `vae`, `text_encoders` and `refiner` stand for those that the pictures were made with, wherever
    they lie now.
    """

    pictures: Sequence[Path]
    images: Sequence[Path] = ()
    masks: Sequence[Path] = ()
    model: str | None = None
    vae: str | None = None
    text_encoders: tuple[str, ...] = ()
    refiner: str | None = None
    device: str | None = None
    precision: str | None = None
    as_json: bool = False
    quiet: bool = False


def verify(check: Check, make_engine: MakeEngine) -> int:
    """Make each picture again, tell how far apart it is and why; the exit status.

    0: all are equal to the bit; 1: some differ; 2: some could not be made again.
    """
    sources = [*_read(check.images, "picture"), *_read(check.masks, "mask")]
    told: list[dict[str, object]] = []
    status = EQUAL
    engines: dict[tuple[str, str], EngineLike] = {}
    try:
        with terminable(), Progress(len(check.pictures), quiet=check.quiet) as progress:
            for i, path in enumerate(check.pictures):
                try:
                    claim = read_claim(path, str(path))
                    engine = _engine(check, claim, engines, make_engine, progress)
                    verdict = _judged(check, claim, engine, sources, progress, i)
                except SfumatoError as problem:
                    status = CANNOT
                    told.append({"file": str(path), "error": str(problem)})
                    if not check.as_json:
                        error(str(problem))
                    continue
                status = max(status, EQUAL if verdict.equal else DIFFERS)
                told.append({"file": str(path), **verdict.to_dict()})
                if not check.as_json:
                    _tell(path, verdict, progress)
    except KeyboardInterrupt as stop:
        note(f"stopped; {len(told)} of {len(check.pictures)} were verified")
        if isinstance(stop, Terminated):
            raise typer.Exit(TERMINATED) from None
        raise
    if check.as_json:
        typer.echo(json.dumps(told, indent=2))
    return status


def _engine(
    check: Check,
    claim: Claim,
    engines: dict[tuple[str, str], EngineLike],
    make_engine: MakeEngine,
    progress: Progress,
) -> EngineLike:
    """The engine of the machine that was typed, else of that which the picture was made on."""
    device = claim.recipe.device.split(":")[0] if check.device is None else check.device
    precision = claim.recipe.precision if check.precision is None else check.precision
    if (device, precision) not in engines:
        progress.wait("loading the model")
        engines.clear()  # one model in memory at a time
        engines[device, precision] = make_engine(device, precision)
    return engines[device, precision]


def _judged(
    check: Check,
    claim: Claim,
    engine: EngineLike,
    sources: Sequence[Source],
    progress: Progress,
    i: int,
) -> Verdict:
    run = engine.submit(_with_models(check, claim, claim.request(sources)))
    progress.begin(i, run.request.run_steps)
    for step in run:
        progress.follow(i, step)
    return judge(claim, run.result().pictures[0])


def _with_models(check: Check, claim: Claim, request: Request) -> Request:
    """The request with the models that were typed, else those of the recipe, where they lie now.

    Raises PictureError for a part that was typed and that the picture was made without.
    """
    for name in _WITHOUT:
        if getattr(check, name) and not getattr(request, name):
            raise PictureError(
                f"{claim.name} was made {_WITHOUT[name]}; verify it without "
                f"--{name.removesuffix('s').replace('_', '-')}."
            )
    known = shelves()
    model, refiner = check.model, check.refiner
    return replace(
        request,
        model=nearest_model(claim.recipe, known) if model is None else model,
        refiner=nearest_refiner(claim.recipe, known) if refiner is None else refiner,
        vae=check.vae or request.vae,
        text_encoders=check.text_encoders or request.text_encoders,
    )


def _tell(path: Path, verdict: Verdict, progress: Progress) -> None:
    progress.say(f"{path}  {verdict.words()}")
    for reason in verdict.reasons:
        progress.say(f"  {reason}")


def _read(paths: Sequence[Path], kind: Literal["picture", "mask"]) -> list[Source]:
    return [Source.read(path, kind) for path in paths]
