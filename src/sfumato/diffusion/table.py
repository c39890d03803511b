"""The names of all samplers and schedules, with what the field calls them; needs no torch.

`sfumato.diffusion.samplers.SAMPLERS` and `sfumato.diffusion.schedules.SCHEDULES` hold one function
for each row; a test compares them both ways.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from sfumato.errors import RequestError


@dataclass(frozen=True)
class SamplerRow:
    """One sampler: our name, what others call it, and what it costs."""

    name: str
    title: str  # as A1111 shows it
    aliases: tuple[str, ...]  # A1111, ComfyUI, diffusers
    order: int  # halving the step divides the error by 2^order
    draws_noise: bool
    calls: int  # of the network, per step
    source: str


@dataclass(frozen=True)
class ScheduleRow:
    """One schedule: our name and what others call it."""

    name: str
    title: str  # as A1111 shows it
    aliases: tuple[str, ...]
    source: str


_DPMPP = "Lu et al. 2022, DPM-Solver++, arXiv:2211.01095"
_KARRAS = "Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364"

SAMPLER_ROWS = (
    SamplerRow(
        "euler",
        "Euler",
        ("k_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
        1,
        False,
        1,
        _KARRAS,
    ),
    SamplerRow(
        "dpmpp_2m",
        "DPM++ 2M",
        ("k_dpmpp_2m", "DPMSolverMultistepScheduler"),
        2,
        False,
        1,
        _DPMPP,
    ),
)

SCHEDULE_ROWS = (
    ScheduleRow("normal", "Uniform", ("linspace",), "k-diffusion, get_sigmas"),
    ScheduleRow("karras", "Karras", ("use_karras_sigmas",), _KARRAS),
    ScheduleRow(
        "exponential", "Exponential", ("use_exponential_sigmas",), "k-diffusion, even in log sigma"
    ),
    ScheduleRow("simple", "Simple", (), "ComfyUI, simple"),
    ScheduleRow("ddim_uniform", "DDIM", ("leading",), "Song et al. 2020, DDIM, arXiv:2010.02502"),
    ScheduleRow(
        "sgm_uniform",
        "SGM Uniform",
        ("SGMUniform", "trailing"),
        "Stability AI generative-models, EulerEDMSampler configuration",
    ),
)

Row = TypeVar("Row", SamplerRow, ScheduleRow)


def sampler_row(name: str) -> SamplerRow:
    """The row of a sampler, by our name, title or alias, whatever the case.

    Raises RequestError with the nearest names where there is none.
    """
    return _find(name, SAMPLER_ROWS, "sampler")


def schedule_row(name: str) -> ScheduleRow:
    """The row of a schedule, by our name, title or alias, whatever the case.

    Raises RequestError with the nearest names where there is none.
    """
    return _find(name, SCHEDULE_ROWS, "schedule")


def _find(name: str, rows: Sequence[Row], what: str) -> Row:
    known = {other.casefold(): row for row in rows for other in (row.name, row.title, *row.aliases)}
    row = known.get(name.strip().casefold())
    if row is not None:
        return row
    near = get_close_matches(name.strip().casefold(), list(known), n=3, cutoff=0.5)
    names = dict.fromkeys(known[other].name for other in near)
    hint = f"nearest: {', '.join(names)}" if names else f"known: {', '.join(r.name for r in rows)}"
    raise RequestError(f"unknown {what} {name!r}; {hint}")
