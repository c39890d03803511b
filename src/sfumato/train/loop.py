"""The training loop: one task, many steps, and a folder from which it goes on after any kill.

A step's data are a pure function of its number, so a checkpoint needs no state of a data loader:
weights, averaged weights, optimiser state and the step's number are all there is.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from sfumato.errors import SfumatoError, WeightsError
from sfumato.images.files import check_output
from sfumato.images.files import write as write_bytes
from sfumato.train import store
from sfumato.train.muon import Muon, MuonConfig

__all__ = [
    "LoopConfig",
    "Losses",
    "Modules",
    "Stop",
    "Task",
    "Tell",
    "TrainingError",
    "fit",
    "never",
]

Modules = Mapping[str, nn.Module]
Losses = Mapping[str, Tensor]  # scalars, by their names in the log
Tell = Callable[[dict[str, float]], None]  # hears each line of the log
Stop = Callable[[], bool]  # asked after each step


class TrainingError(SfumatoError):
    """A training that cannot go on; the message says why and what to change."""


@dataclass(frozen=True)
class LoopConfig:
    """How long and how fast: warm up, stay, and cool down to nothing over the last steps."""

    steps: int
    warmup: int = 100
    cooldown: int = 1000
    average: float = 0.999
    clip: float = 1.0
    save_seconds: float = 240.0
    log_steps: int = 20
    validate_steps: int = 500

    def factor(self, step: int) -> float:
        """What the learning rates are multiplied by at a step, counted from 1."""
        left = (self.steps - step + 1) / max(1, self.cooldown)
        return max(0.0, min(1.0, step / max(1, self.warmup), left))

    def shaping(self) -> dict[str, object]:
        """Its numbers but for those that only say when it is told, judged and saved."""
        telling = ("save_seconds", "log_steps", "validate_steps")
        return {name: value for name, value in asdict(self).items() if name not in telling}

    def keep(self, step: int) -> float:
        """How much of the average stays at a step; less in the beginning, when all is news."""
        return min(self.average, (1 + step) / (10 + step))


class Task(Protocol):
    """What is trained: the modules, a step's losses, and figures on data never trained on.

    The sum of the losses is made smaller. They have the same names at every step, and one of them
    is called "loss".
    """

    @property
    def modules(self) -> Modules: ...

    def losses(self, step: int) -> Losses: ...

    def validate(self, modules: Modules) -> dict[str, float]: ...


def never() -> bool:
    """The training is not to be stopped."""
    return False


def fit(
    task: Task,
    config: LoopConfig,
    optimiser: MuonConfig,
    folder: Path,
    *,
    plain: tuple[str, ...] = (),
    tell: Tell,
    stop: Stop = never,
) -> Modules:
    """Trains until ``config.steps`` are done and returns the averaged modules.

    ``folder`` gets ``state.safetensors`` (written beside, then renamed) and ``log.jsonl``; when it
    holds a state already, training goes on from there and ends as if it had never stopped.
    ``plain`` names parameters that Muon leaves to AdamW. When ``stop`` says so, the state is saved
    and KeyboardInterrupt raised. Raises WeightsError for a state of another training, OutputError
    where the folder cannot be written, TrainingError where the loss is no number any more.
    """
    averaged = {name: deepcopy(m).eval().requires_grad_(False) for name, m in task.modules.items()}
    named = [(f"{k}.{n}", p) for k, m in task.modules.items() for n, p in m.named_parameters()]
    muon = Muon([(n, p) for n, p in named if p.requires_grad], optimiser, plain)
    state = _State(folder / "state.safetensors", _tensors(task.modules, averaged, muon))
    done = state.restore()
    log = _Log(folder / "log.jsonl", done)

    saved = time.monotonic()
    for step in range(done + 1, config.steps + 1):
        losses = task.losses(step)
        torch.stack(list(losses.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(list(muon.parameters.values()), config.clip)
        muon.step(step, config.factor(step))
        _average(task.modules, averaged, config.keep(step))
        log.add(step, losses, norm)
        last, stopped = step == config.steps, stop()
        judged = last or step % config.validate_steps == 0
        if judged or step % config.log_steps == 0:
            line = {"step": step, "steps": config.steps, "factor": config.factor(step)}
            line |= log.take()
            if judged:
                line |= task.validate(averaged)
            log.write(line)
            tell(line)
        if last or stopped or time.monotonic() - saved > config.save_seconds:
            log.settle()
            state.save(step)
            saved = time.monotonic()
        if stopped and not last:
            raise KeyboardInterrupt
    return averaged


@torch.no_grad()
def _average(modules: Modules, averaged: Modules, keep: float) -> None:
    for name, module in modules.items():
        means: list[Tensor] = list(averaged[name].parameters())
        now: list[Tensor] = list(module.parameters())
        torch._foreach_lerp_(means, now, 1 - keep)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


def _tensors(modules: Modules, averaged: Modules, muon: Muon) -> dict[str, Tensor]:
    """The very tensors that change from step to step, by their names in the state."""
    tensors = {f"optimiser.{name}": t for name, t in muon.state().items()}
    for kind, group in (("weights", modules), ("averaged", averaged)):
        for part, module in group.items():
            tensors |= {f"{kind}.{part}.{name}": t for name, t in module.state_dict().items()}
    return tensors


class _State:
    """All that changes from step to step, in memory and in its file."""

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        self.path, self.tensors = path, tensors
        for torn in path.parent.glob(".sfumato-*.part"):  # of a training killed while it saved
            torn.unlink()
        check_output(path, room=2 * sum(t.nbytes for t in tensors.values()))

    def save(self, step: int) -> None:
        store.write(self.tensors, self.path, {"step": str(step)})

    @torch.no_grad()
    def restore(self) -> int:
        """Takes up the file's state, if there is one; returns the steps already done."""
        if not self.path.exists():
            return 0
        found, words = store.read(self.path)
        odd = sorted(found.keys() ^ self.tensors.keys())
        shared = found.keys() & self.tensors.keys()
        odd += sorted(name for name in shared if found[name].shape != self.tensors[name].shape)
        if odd or not words.get("step", "").isdecimal():
            raise WeightsError(
                f"{self.path} was made by another training: {len(odd)} tensors differ, such as "
                f"{odd[0] if odd else 'its step'}.\n"
                "  Train into another folder, or remove this file to begin anew."
            )
        for name, tensor in self.tensors.items():
            tensor.copy_(found[name])
        return int(words["step"])


class _Log:
    """One line of JSON for every few steps: means since the line before."""

    def __init__(self, path: Path, done: int) -> None:
        self.path = path
        self.told: list[dict[str, float]] = []
        self.fresh: list[tuple[int, Mapping[str, Tensor]]] = []
        self.since = time.monotonic()
        if path.exists():  # what was trained after the last save was lost, and is trained again
            lines = path.read_text("utf-8").splitlines(keepends=True)
            kept = [x for x in lines if x.endswith("\n") and json.loads(x)["step"] <= done]
            write_bytes("".join(kept).encode(), path)

    def add(self, step: int, losses: Losses, norm: Tensor) -> None:
        """Notes a step's figures where they are: to read one is to wait for the device."""
        told = {name: loss.detach() for name, loss in losses.items()}
        self.fresh.append((step, {**told, "gradient": norm}))

    def settle(self) -> None:
        """Reads what was noted. Raises TrainingError at the first step with what is no number."""
        for step, tensors in self.fresh:
            told = {name: tensor.item() for name, tensor in tensors.items()}
            wrong = [
                f"the {name} is {value}" for name, value in told.items() if not math.isfinite(value)
            ]
            if wrong:
                raise TrainingError(
                    f"Training fell apart at step {step}: {', '.join(wrong)}.\n"
                    "  Train again with lower learning rates, or a longer warm-up; the state saved "
                    "last is still good."
                )
            self.told.append(told)
        self.fresh = []

    def take(self) -> dict[str, float]:
        """Means since the last time."""
        self.settle()
        n, now = len(self.told), time.monotonic()
        line = {name: sum(each[name] for each in self.told) / n for name in self.told[0]}
        line["seconds_a_step"] = (now - self.since) / n
        self.told, self.since = [], now
        return line

    def write(self, line: dict[str, float]) -> None:
        store.append(json.dumps(line), self.path)
