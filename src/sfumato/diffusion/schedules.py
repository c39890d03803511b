"""The number of steps becomes noise levels: N steps are N + 1 sigmas, from the highest to 0.

Every schedule is a function (process, steps) -> list of `steps` levels above 0, highest first,
in float64; `sigmas` adds the final 0. The names are those of A1111 and ComfyUI.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.table import schedule_row
from sfumato.errors import RequestError

Schedule: TypeAlias = Callable[[Process, int], list[float]]


def sigmas(name: str, process: Process, steps: int) -> Tensor:
    """The levels of a run: (steps + 1,) float64 on the CPU, strictly descending, the last one 0.

    name: a schedule of `sfumato.diffusion.table`, or an alias.
    Raises RequestError for an unknown name, or for steps outside 1 ... 1000.
    """
    if not 1 <= steps <= 1000:
        raise RequestError(f"{steps} steps; give 1 to 1000")
    levels = SCHEDULES[schedule_row(name).name](process, steps)
    return torch.tensor([*levels, 0.0], dtype=torch.float64)


def normal(process: Process, steps: int) -> list[float]:
    """Even in the network's time, both ends included: k-diffusion's `get_sigmas`, A1111's
    "Uniform", diffusers' "linspace"."""
    times = _line(process.time(process.sigma_max), process.time(process.sigma_min), steps)
    return [process.sigma_at(time) for time in times]


def sgm_uniform(process: Process, steps: int) -> list[float]:
    """Even in the network's time, the lower end left out: Stability's generative-models."""
    times = _line(process.time(process.sigma_max), process.time(process.sigma_min), steps + 1)
    return [process.sigma_at(time) for time in times[:-1]]


def karras(process: Process, steps: int) -> list[float]:
    """Karras et al. 2022 (arXiv:2206.00364), eq. 5, with rho = 7: many steps at low noise."""
    ends = process.sigma_max ** (1 / 7), process.sigma_min ** (1 / 7)
    return _with_ends(process, [root**7 for root in _line(*ends, steps)])


def exponential(process: Process, steps: int) -> list[float]:
    """Even in log sigma, from k-diffusion: each step divides the noise by the same number."""
    ends = math.log(process.sigma_max), math.log(process.sigma_min)
    return _with_ends(process, [math.exp(log) for log in _line(*ends, steps)])


def simple(process: Process, steps: int) -> list[float]:
    """Every (N / steps)-th level of the table, from the top: ComfyUI's name.

    Where N / steps is whole, this is diffusers' "trailing", which otherwise rounds another way, and
    on a flow it is Flux's own schedule: 1, 1 - 1/steps, ...; shifted.
    The stride is a float and is cut, as in ComfyUI, so that 70 of the 1000 numbers of steps take
    one level that exact arithmetic would not.
    """
    stride = len(process.table) / steps
    return [float(process.table[-1 - int(i * stride)]) for i in range(steps)]


def ddim_uniform(process: Process, steps: int) -> list[float]:
    """Every (N // steps)-th level of the table, from entry 1 up: CompVis's DDIM.

    Song et al. 2020 (arXiv:2010.02502), section 4.2; diffusers' "leading" with steps_offset = 1.
    It starts below sigma_max, far below where steps does not divide N well: that flaw is the
    published one (Lin et al. 2023, arXiv:2305.08891, section 3.3). CompVis and ComfyUI give more
    steps than asked where steps does not divide N; here they are as many as asked. With N steps
    the whole table is taken.
    """
    size = len(process.table)
    first = 0 if steps == size else 1
    stride = size // steps
    return [float(process.table[first + i * stride]) for i in reversed(range(steps))]


SCHEDULES: Mapping[str, Schedule] = MappingProxyType(
    {
        "normal": normal,
        "karras": karras,
        "exponential": exponential,
        "simple": simple,
        "ddim_uniform": ddim_uniform,
        "sgm_uniform": sgm_uniform,
    }
)


def _line(start: float, end: float, count: int) -> list[float]:
    """`count` evenly spaced numbers with both ends; one number is the start."""
    if count == 1:
        return [start]
    return [start + (end - start) * (i / (count - 1)) for i in range(count - 1)] + [end]


def _with_ends(process: Process, levels: list[float]) -> list[float]:
    """The levels with both ends exact, which a power and its root miss by a rounding."""
    return [process.sigma_max, *levels[1:-1], process.sigma_min][: len(levels)]
