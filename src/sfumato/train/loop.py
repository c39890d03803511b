"""The training loop: one task, many steps, and a folder from which it goes on after any kill.

A step's data are a pure function of its number, so a checkpoint needs no state of a data loader:
weights, averaged weights, optimiser state and the step's number are all there is.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sfumato.errors import WeightsError
from sfumato.train.muon import Muon, MuonConfig

__all__ = ["LoopConfig", "Task", "fit"]

Modules = Mapping[str, nn.Module]


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

    def keep(self, step: int) -> float:
        """How much of the average stays at a step; less in the beginning, when all is news."""
        return min(self.average, (1 + step) / (10 + step))


class Task(Protocol):
    """What is trained: the modules, the loss of a step, and figures on data never trained on."""

    @property
    def modules(self) -> Modules: ...

    def loss(self, step: int) -> Tensor: ...

    def validate(self, modules: Modules) -> dict[str, float]: ...


def fit(
    task: Task,
    config: LoopConfig,
    optimiser: MuonConfig,
    folder: Path,
    *,
    plain: tuple[str, ...] = (),
    tell: Callable[[dict[str, float]], None],
) -> Modules:
    """Trains until ``config.steps`` are done and returns the averaged modules.

    ``folder`` gets ``state.safetensors`` (written beside, then renamed) and ``log.jsonl``; when it
    holds a state already, training goes on from there and ends as if it had never stopped. ``plain``
    names parameters that Muon leaves to AdamW. ``tell`` hears each line of the log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    averaged = {name: deepcopy(m).eval().requires_grad_(False) for name, m in task.modules.items()}
    named = [(f"{k}.{n}", p) for k, m in task.modules.items() for n, p in m.named_parameters()]
    muon = Muon([(n, p) for n, p in named if p.requires_grad], optimiser, plain)
    state = folder / "state.safetensors"
    done = _restore(state, task.modules, averaged, muon) if state.exists() else 0

    saved, seen = time.monotonic(), _Rate()
    for step in range(done + 1, config.steps + 1):
        loss = task.loss(step)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(list(muon.parameters.values()), config.clip)
        muon.step(step, config.factor(step))
        _average(task.modules, averaged, config.keep(step))
        seen.add(loss.item(), norm.item())
        last = step == config.steps
        if last or step % config.log_steps == 0:
            line = {"step": step, "factor": config.factor(step), **seen.take()}
            if last or step % config.validate_steps == 0:
                line |= task.validate(averaged)
            _log(folder, line)
            tell(line)
        if last or time.monotonic() - saved > config.save_seconds:
            _save(state, step, task.modules, averaged, muon)
            saved = time.monotonic()
    return averaged


class _Rate:
    """Means since the last line of the log."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.since = time.monotonic()

    def add(self, loss: float, norm: float) -> None:
        assert math.isfinite(loss), f"the loss is {loss}"
        self.losses.append(loss)
        self.norms.append(norm)

    def take(self) -> dict[str, float]:
        n, now = len(self.losses), time.monotonic()
        line = {
            "loss": sum(self.losses) / n,
            "gradient": sum(self.norms) / n,
            "seconds_a_step": (now - self.since) / n,
        }
        self.losses, self.norms, self.since = [], [], now
        return line


@torch.no_grad()
def _average(modules: Modules, averaged: Modules, keep: float) -> None:
    for name, module in modules.items():
        mean = list(averaged[name].parameters())
        torch._foreach_lerp_(mean, list(module.parameters()), 1 - keep)


def _log(folder: Path, line: dict[str, float]) -> None:
    with (folder / "log.jsonl").open("a", encoding="utf-8") as f:
        f.write(json.dumps(line) + "\n")


def _tensors(modules: Modules, averaged: Modules, muon: Muon) -> dict[str, Tensor]:
    tensors = {f"optimiser.{name}": t for name, t in muon.state().items()}
    for kind, group in (("weights", modules), ("averaged", averaged)):
        for part, module in group.items():
            tensors |= {f"{kind}.{part}.{name}": t for name, t in module.state_dict().items()}
    return tensors


def _save(path: Path, step: int, modules: Modules, averaged: Modules, muon: Muon) -> None:
    tensors = {k: t.contiguous() for k, t in _tensors(modules, averaged, muon).items()}
    beside = path.with_suffix(".part")
    save_file(tensors, beside, {"step": str(step)})
    beside.replace(path)


@torch.no_grad()
def _restore(path: Path, modules: Modules, averaged: Modules, muon: Muon) -> int:
    want = _tensors(modules, averaged, muon)
    with safe_open(path, "pt") as file:
        have = set(file.keys())
        if have != set(want):
            odd = sorted(have ^ set(want))
            raise WeightsError(
                f"{path} was made by another training: {len(odd)} tensors differ, such as {odd[0]}."
                " Train into another folder, or remove this one."
            )
        for name, tensor in want.items():
            tensor.copy_(file.get_tensor(name))
        return int((file.metadata() or {})["step"])
