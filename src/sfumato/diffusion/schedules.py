"""The number of steps becomes noise levels: N steps are N + 1 sigmas, from the highest to 0.

Every schedule is a function (process, steps) -> list of `steps` levels above 0, highest first,
in float64; `sigmas` adds the final 0. The names are those of A1111 and ComfyUI.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import torch
from torch import Tensor

from sfumato.diffusion.process import Eps, Process
from sfumato.diffusion.published import ALIGN_YOUR_STEPS, GITS
from sfumato.diffusion.table import schedule_row
from sfumato.errors import RequestError

Schedule: TypeAlias = Callable[[Process, int], list[float]]

LCM_LEVELS = 50  # at which Latent Consistency Models were distilled


def sigmas(name: str, process: Process, steps: int) -> Tensor:
    """The levels of a run: (steps + 1,) float64 on the CPU, strictly descending, the last one 0.

    name: a schedule of `sfumato.diffusion.table`, or an alias.
    Raises RequestError for an unknown name, or for steps outside 1 ... 1000.
    """
    if not 1 <= steps <= 1000:
        raise RequestError(f"{steps} steps; give 1 to 1000")
    levels = SCHEDULES[schedule_row(name).name](process, steps)
    return torch.tensor([*levels, 0.0], dtype=torch.float64)


def own(levels: Sequence[float], process: Process) -> Tensor:
    """The user's own levels as those of a run: (N + 1,) float64 on the CPU, the last one 0.

    levels: 1 to 1000 numbers, strictly descending, none above the process's pure noise; a final 0
        may be given or left out.
    Raises RequestError for any others, and names the first number that will not do.
    """
    given = list(levels[:-1]) if levels and levels[-1] == 0 else list(levels)
    if not 1 <= len(given) <= 1000:
        raise RequestError(f"{len(given)} sigmas above 0; give 1 to 1000")
    before = math.nextafter(process.sigma_max * (1 + 1e-6), math.inf)
    for i, level in enumerate(given):
        if not 0 < level < before:  # also where it is no number
            lower = "no higher than pure noise" if i == 0 else "lower than the one before"
            raise RequestError(
                f"sigma {i + 1} is {level:g}; each must be above 0 and {lower}, {before:g}"
            )
        before = level
    return torch.tensor([*given, 0.0], dtype=torch.float64)


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


def polyexponential(process: Process, steps: int, rho: float = 1.0) -> list[float]:
    """A power of a line in log sigma, from k-diffusion.

    rho: 1, the default here as in A1111 and ComfyUI, is `exponential`; above 1 there are more steps
        at low noise, below 1 fewer.
    """
    high, low = math.log(process.sigma_max), math.log(process.sigma_min)
    parts = _line(1.0, 0.0, steps)
    return _with_ends(process, [math.exp(low + part**rho * (high - low)) for part in parts])


def kl_optimal(process: Process, steps: int) -> list[float]:
    """Even in the angle arctan(sigma / alpha): Sabour et al. 2024 (arXiv:2404.14507), eq. 7.

    Derived there for Gaussian data and alpha = 1, with both ends included, as ComfyUI has it;
    A1111 takes one step more within the same range, and ends at sigma_min.
    """
    high = math.atan2(process.sigma_max, process.alpha(process.sigma_max))
    low = math.atan2(process.sigma_min, process.alpha(process.sigma_min))
    angles = _line(high, low, steps)
    return _with_ends(process, [process.sigma_of(-math.log(math.tan(one))) for one in angles])


def beta(process: Process, steps: int) -> list[float]:
    """Places in the table by the beta distribution with both parameters 0.6: many at both ends.

    Lee et al. 2024 (arXiv:2407.12173), section 4. ComfyUI rounds the places to whole ones and drops
    doubles, so that many steps become fewer; here they stay where they are, between two entries.
    A1111 and diffusers spread sigma itself so, which is another schedule.
    """
    places = [_beta_inverse(1 - i / steps) * (len(process.table) - 1) for i in range(steps)]
    table = [float(sigma) for sigma in process.table]
    return [process.sigma_max, *(_on_curve(table, place) for place in places[1:])]


def linear_quadratic(process: Process, steps: int) -> list[float]:
    """The first half of the steps removes 2.5 % of the noise evenly, the others go on faster.

    Genmo 2024, the models of Mochi 1, `linear_quadratic_schedule`, times sigma_max as in ComfyUI.
    """
    if steps == 1:
        return [process.sigma_max]
    slow = steps // 2
    slope, rest = 0.025 / slow, steps - slow
    bend = (1 - 0.025 - slope * rest) / rest**2
    gone = [slope * i + (bend * (i - slow) ** 2 if i > slow else 0.0) for i in range(steps)]
    return [process.sigma_max * (1 - part) for part in gone]


def align_your_steps(process: Process, steps: int) -> list[float]:
    """NVIDIA's levels for SD 1.5: Sabour et al. 2024 (arXiv:2404.14507)."""
    return _published(process, ALIGN_YOUR_STEPS["sd1"], steps)


def align_your_steps_sdxl(process: Process, steps: int) -> list[float]:
    """NVIDIA's levels for SDXL: Sabour et al. 2024 (arXiv:2404.14507)."""
    return _published(process, ALIGN_YOUR_STEPS["sdxl"], steps)


def align_your_steps_svd(process: Process, steps: int) -> list[float]:
    """NVIDIA's levels for Stable Video Diffusion: Sabour et al. 2024 (arXiv:2404.14507)."""
    return _published(process, ALIGN_YOUR_STEPS["svd"], steps)


def gits(process: Process, steps: int) -> list[float]:
    """Levels for SD 1.5 from the shape of its paths: Chen et al. 2024 (arXiv:2405.11326).

    More than 20 steps, which are not in the table, divide the row of 20.
    """
    middle = GITS[min(steps, 20) - 2] if steps > 1 else ()
    stable = Eps()
    return _published(process, [stable.sigma_at(9.99 * i) for i in (100, *middle, 0)], steps)


def simple(process: Process, steps: int) -> list[float]:
    """Every (N / steps)-th level of the table, from the top: ComfyUI's name.

    Where N / steps is whole, this is diffusers' "trailing", which otherwise rounds another way, and
    on a flow it is Flux's own schedule: 1, 1 - 1/steps, ...; shifted.
    The stride is a float and is cut, as in ComfyUI, so that 70 of the 1000 numbers of steps take
    one level that exact arithmetic would not.
    """
    stride = len(process.table) / steps
    return [float(process.table[-1 - int(i * stride)]) for i in range(steps)]


def lcm(process: Process, steps: int) -> list[float]:
    """Of the fifty levels at which LCM models were distilled, each so many-th, from the top.

    Luo et al. 2023 (arXiv:2310.04378), section 4.3, as diffusers' LCMScheduler takes them: every
    20th entry of the table. More than 50 steps, which it refuses, are taken from all of them.
    """
    size = len(process.table)
    grain = size // LCM_LEVELS if steps <= LCM_LEVELS else 1
    return [float(process.table[-1 - grain * (size // grain * i // steps)]) for i in range(steps)]


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
        "polyexponential": polyexponential,
        "kl_optimal": kl_optimal,
        "beta": beta,
        "lcm": lcm,
        "linear_quadratic": linear_quadratic,
        "align_your_steps": align_your_steps,
        "align_your_steps_sdxl": align_your_steps_sdxl,
        "align_your_steps_svd": align_your_steps_svd,
        "gits": gits,
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


def _published(process: Process, sigmas: Sequence[float], steps: int) -> list[float]:
    """Published levels, where alpha = 1, as so many steps of this process.

    Another number of steps divides their curve evenly, linear in log sigma (NVIDIA's how-to). Other
    processes get the levels of the same signal-to-noise ratio. A curve that goes beyond the range
    of the process is cut to it; the highest level is always pure noise.
    """
    curve = [-math.log(sigma) for sigma in sigmas]  # lambda, ascending
    top = process.alpha(process.sigma_max) / process.sigma_max
    bottom = process.alpha(process.sigma_min) / process.sigma_min
    begin = _place(curve, math.log(top)) if top > 0 else 0.0
    end = _place(curve, math.log(bottom))
    places = _line(begin, end, steps + 1)[1:-1]
    return [process.sigma_max, *(process.sigma_of(_on_curve(curve, place)) for place in places)]


def _on_curve(curve: Sequence[float], place: float) -> float:
    """The value between two points of an ascending curve."""
    i = min(int(place), len(curve) - 2)
    return curve[i] + (place - i) * (curve[i + 1] - curve[i])


def _place(curve: Sequence[float], value: float) -> float:
    """Where an ascending curve has this value; the nearest end for one beyond it."""
    if value <= curve[0]:
        return 0.0
    i = next((i for i, one in enumerate(curve) if one >= value), None)
    if i is None:
        return float(len(curve) - 1)
    return i - (curve[i] - value) / (curve[i] - curve[i - 1])


def _beta_inverse(part: float, shape: float = 0.6) -> float:
    """Where the beta distribution with twice this parameter has this part of it below: its ppf.

    Newton's method on its series (DLMF 8.17.7 with the power x^a taken out), which converges fast
    on the lower half and, for parameters below 1, begins close; the upper half mirrors it.
    """
    if part > 0.5:
        return 1 - _beta_inverse(1 - part, shape)
    if part == 0:
        return 0.0
    whole = math.gamma(shape) ** 2 / math.gamma(2 * shape)
    x = (part * whole * shape) ** (1 / shape)  # by the first term alone
    for _ in range(6):
        term, total = 1.0, 1.0 / shape
        for n in range(1, 60):
            term *= (n - shape) / n * x
            total += term / (shape + n)
        density = (x * (1 - x)) ** (shape - 1)
        x -= (x**shape * total - part * whole) / density
    return x
