"""A training's figures out of its logs, for the model's card and for whoever waits for it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sfumato.errors import WeightsError
from sfumato.train import names, polish

__all__ = ["Figures", "card", "figures"]

# The trainings behind all others, and whether what they made is of the parts beside it.
_LAST: Mapping[str, Callable[[Path], bool]] = {"decoder": polish.fits, "naming": names.fits}


@dataclass(frozen=True)
class Figures:
    """What one training's log and note say; ``last`` holds the newest value of each figure."""

    steps: int
    seconds: float
    last: Mapping[str, float]
    run: Mapping[str, object]


def figures(folder: Path) -> Figures:
    """The figures of one training, such as in ``RUN/denoiser``.

    Raises WeightsError where nothing was trained.
    """
    path = folder / "log.jsonl"
    if not path.exists():
        raise WeightsError(f"There is no log at {path}: nothing was trained there.")
    last: dict[str, float] = {}
    seconds, step = 0.0, 0
    for text in path.read_text("utf-8").splitlines():
        line = cast(dict[str, float], json.loads(text))
        now = int(line["step"])
        seconds += line["seconds_a_step"] * max(0, now - step)
        step = max(step, now)
        last |= line
    note = folder / "run.json"
    run = cast(dict[str, object], json.loads(note.read_text("utf-8"))) if note.exists() else {}
    return Figures(step, seconds, last, run)


def card(folder: Path) -> dict[str, str]:
    """What a model's file says of its making, from the logs in a training's folder."""
    rows: dict[str, str] = {}
    for part, wanted in (
        ("autoencoder", {"held_psnr": "held_psnr_db"}),
        ("adapter", {"plain_right": "plain_right", "said_right": "said_right"}),
        ("denoiser", {"loss": "train_loss", "seen_loss": "seen_loss", "held_loss": "held_loss"}),
        ("decoder", {"held_psnr": "held_psnr_db", "guess_psnr": "guess_psnr_db"}),
        ("naming", {"held_right": "held_right", "taught_right": "taught_right"}),
    ):
        if not (folder / part / "log.jsonl").exists():
            continue
        if part in _LAST and not _LAST[part](folder):
            continue  # not at its end or of other parts: the model is without it
        found = figures(folder / part)
        rows[f"{part}_steps"] = str(found.steps)
        rows[f"{part}_seconds"] = f"{found.seconds:.0f}"
        rows |= {
            f"{part}_{new}": f"{found.last[old]:.4g}"
            for old, new in wanted.items()
            if old in found.last
        }
        for name in ("machine", "device", "threads", "torch"):
            if name in found.run:
                rows[f"{part}_{name}"] = str(found.run[name])
    return rows
