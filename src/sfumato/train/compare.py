"""Recipes compared at equal time: each trains its denoiser for as long, on the same autoencoder.

A recipe's pace is measured first, and its schedule is then laid out to end in time, so that each is
judged as a whole training and none in the middle of one.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sfumato.catalog import MINI
from sfumato.nn.vae import Vae
from sfumato.spec import ModelSpec
from sfumato.train import store
from sfumato.train.bundled import train_denoiser
from sfumato.train.loop import LoopConfig, Tell
from sfumato.train.recipe import Recipe
from sfumato.train.report import figures
from sfumato.train.scenes import Scenes

__all__ = ["Compared", "compare", "in_time", "table"]

_PACED = 6  # steps by which a recipe's pace is told, after as many to get going
_COOLING = 0.35  # of the steps, in which the rates fall to nothing
Clock = Callable[[], float]


@dataclass(frozen=True)
class Compared:
    """One recipe's training: steps, pictures seen, seconds in its steps, and the last figures."""

    name: str
    steps: int
    samples: int
    seconds: float
    seen_loss: float
    held_loss: float


def compare(
    recipes: Mapping[str, Recipe],
    pack: Path,
    vae: Vae,
    folder: Path,
    device: torch.device,
    seconds: float,
    tell: Tell,
    *,
    spec: ModelSpec = MINI,
    clock: Clock = time.monotonic,
) -> list[Compared]:
    """Trains every recipe for ``seconds``, each in a folder of its name, one after the other.

    What a recipe needs before its steps (drawing, compiling, an adapter's training alone) is not
    counted. Raises what `bundled.train_denoiser` raises.
    """
    made: list[Compared] = []
    for name, recipe in recipes.items():
        own = folder / name
        store.write(vae.state_dict(), own / "vae.safetensors")
        scenes = Scenes(pack, recipe.scenes)
        pace = _pace(recipe, scenes, own, device, spec, clock)
        loop = in_time(recipe.denoiser_loop, seconds, pace)
        train_denoiser(replace(recipe, denoiser_loop=loop), scenes, own, device, tell, spec=spec)
        found = figures(own / "denoiser")
        made.append(
            Compared(
                name,
                found.steps,
                found.steps * recipe.denoiser.batch,
                found.seconds,
                found.last["seen_loss"],
                found.last["held_loss"],
            )
        )
    return made


def in_time(loop: LoopConfig, seconds: float, pace: float) -> LoopConfig:
    """The schedule that takes so many ``seconds`` at ``pace`` seconds a step."""
    steps = max(4, int(seconds / pace))
    return replace(
        loop,
        steps=steps,
        warmup=min(loop.warmup, max(1, steps // 10)),
        cooldown=max(1, int(_COOLING * steps)),
        validate_steps=steps,
    )


def table(made: Sequence[Compared]) -> str:
    """The comparison as Markdown, the best on what was held out first."""
    lines = [
        "| recipe | steps | pictures | seconds | seen loss | held loss |",
        "|---|---|---|---|---|---|",
    ]
    for row in sorted(made, key=lambda row: row.held_loss):
        lines.append(
            f"| {row.name} | {row.steps:,} | {row.samples:,} | {row.seconds:.0f} "
            f"| {row.seen_loss:.4f} | {row.held_loss:.4f} |"
        )
    return "\n".join(lines) + "\n"


def _pace(
    recipe: Recipe,
    scenes: Scenes,
    folder: Path,
    device: torch.device,
    spec: ModelSpec,
    clock: Clock,
) -> float:
    """Seconds of a step, from a start of the training that is thrown away.

    An adapter's training alone comes before it, and stays. Where other processes make the data,
    those of the first steps are there at once: a pace that waits for them is not seen.
    """
    stamps: list[float] = []

    def stop() -> bool:
        if (folder / "denoiser").exists():
            stamps.append(clock())
        return len(stamps) == 2 * _PACED

    def silent(_: dict[str, float]) -> None: ...

    loop = replace(
        recipe.denoiser_loop, steps=2 * _PACED + 1, validate_steps=10**9, save_seconds=1e9
    )
    trial = replace(recipe, denoiser_loop=loop)
    try:
        train_denoiser(trial, scenes, folder, device, silent, stop=stop, spec=spec)
    except KeyboardInterrupt:
        if len(stamps) < 2 * _PACED:  # not ours
            raise
        for path in (folder / "denoiser").iterdir():
            path.unlink()
    return (stamps[-1] - stamps[_PACED - 1]) / _PACED
