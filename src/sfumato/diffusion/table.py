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
    order: int  # halving the step divides the error by 2^order; with noise, that of the variance
    draws_noise: bool
    calls: int  # of the network, per step
    source: str
    summary: str  # one sentence for whoever has to choose


@dataclass(frozen=True)
class ScheduleRow:
    """One schedule: our name and what others call it."""

    name: str
    title: str  # as A1111 shows it
    aliases: tuple[str, ...]
    source: str
    summary: str  # one sentence for whoever has to choose


_DDIM = "Song et al. 2020, Denoising Diffusion Implicit Models, arXiv:2010.02502"
_DDPM = "Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239"
_DPMPP = "Lu et al. 2022, DPM-Solver++, arXiv:2211.01095"
_KARRAS = "Karras et al. 2022, Elucidating the Design Space, arXiv:2206.00364"
_KDIFFUSION = "Crowson 2022, k-diffusion"
_UNIPC = "Zhao et al. 2023, UniPC, arXiv:2302.04867"

# Name, title, aliases, order, draws noise, calls of the network per step, source, summary.
SAMPLER_ROWS = (
    SamplerRow(
        "ddim",
        "DDIM",
        ("DDIMScheduler",),
        1,
        False,
        1,
        _DDIM,
        "The classic: the same path every time, and fair with few steps.",
    ),
    SamplerRow(
        "ddpm",
        "DDPM",
        ("DDPMScheduler",),
        1,
        True,
        1,
        _DDPM,
        "The slow original: fresh noise at every step, at its best with very many.",
    ),
    SamplerRow(
        "dpmpp_2m",
        "DPM++ 2M",
        ("k_dpmpp_2m", "DPMSolverMultistepScheduler"),
        2,
        False,
        1,
        _DPMPP,
        "A safe choice: good in 15 to 25 steps, and the same path every time.",
    ),
    SamplerRow(
        "dpmpp_2m_sde",
        "DPM++ 2M SDE",
        ("k_dpmpp_2m_sde", "dpmpp_2m_sde_gpu"),
        2,
        True,
        1,
        _DPMPP,
        "As DPM++ 2M with fresh noise at each step: more detail, and it never settles.",
    ),
    SamplerRow(
        "dpmpp_2m_sigma",
        "DPM++ 2M sigma",
        (),
        2,
        False,
        1,
        _DPMPP,
        "DPM++ 2M as it was published for SD3, a flow model; elsewhere the same as DPM++ 2M.",
    ),
    SamplerRow(
        "dpmpp_sde",
        "DPM++ SDE",
        ("k_dpmpp_sde", "dpmpp_sde_gpu", "DPMSolverSDEScheduler"),
        2,
        True,
        2,
        _DPMPP,
        "Fresh noise and two looks at each step: rich in detail, and twice as slow.",
    ),
    SamplerRow(
        "euler",
        "Euler",
        ("k_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
        1,
        False,
        1,
        _KARRAS,
        "The plainest: one straight step after the other, and the same path every time.",
    ),
    SamplerRow(
        "euler_ancestral",
        "Euler a",
        ("k_euler_a", "k_euler_ancestral", "EulerAncestralDiscreteScheduler"),
        1,
        True,
        1,
        _KDIFFUSION,
        "Lively: fresh noise at each step, so more steps give another picture.",
    ),
    SamplerRow(
        "heun",
        "Heun",
        ("k_heun", "HeunDiscreteScheduler"),
        2,
        False,
        2,
        _KARRAS,
        "Euler that looks twice at each step: more exact, and twice as slow.",
    ),
    SamplerRow(
        "lms",
        "LMS",
        ("k_lms", "LMSDiscreteScheduler"),
        2,
        False,
        1,
        _KDIFFUSION,
        "Remembers the steps before it: quick, and shaky with very few steps.",
    ),
    SamplerRow(
        "unipc",
        "UniPC",
        ("uni_pc", "uni_pc_bh2", "UniPCMultistepScheduler"),
        2,
        False,
        1,
        _UNIPC,
        "Exact with few steps, ten or so; the same path every time.",
    ),
)

SCHEDULE_ROWS = (
    ScheduleRow(
        "normal",
        "Uniform",
        ("linspace",),
        "k-diffusion, get_sigmas",
        "Even in the time that the model was trained with.",
    ),
    ScheduleRow(
        "karras",
        "Karras",
        ("use_karras_sigmas",),
        _KARRAS,
        "Many steps at low noise, where the detail is made.",
    ),
    ScheduleRow(
        "exponential",
        "Exponential",
        ("use_exponential_sigmas",),
        "k-diffusion, even in log sigma",
        "Each step divides the noise by the same number.",
    ),
    ScheduleRow(
        "simple",
        "Simple",
        ("trailing",),
        "ComfyUI, simple",
        "Even picks from the model's own levels, from the top: the usual one for flow models.",
    ),
    ScheduleRow(
        "ddim_uniform",
        "DDIM",
        ("leading",),
        "Song et al. 2020, DDIM, arXiv:2010.02502",
        "Even picks from the model's own levels, from the bottom, as DDIM was published.",
    ),
    ScheduleRow(
        "sgm_uniform",
        "SGM Uniform",
        ("SGMUniform",),
        "Stability AI generative-models, EulerEDMSampler configuration",
        "As Uniform without its lowest level: for SDXL's turbo and lightning kinds.",
    ),
)

Row = TypeVar("Row", SamplerRow, ScheduleRow)


def sampler_row(name: str) -> SamplerRow:
    """The row of a sampler, by our name, title or alias, whatever the case.

    Raises RequestError with the nearest names where there is none.
    """
    return _find(name, SAMPLER_ROWS, "sampler")


def check_wander(name: str) -> None:
    """Refuse noise of its own for the steps where the sampler draws none.

    Raises RequestError that names the samplers which do.
    """
    row = sampler_row(name)
    if not row.draws_noise:
        drawing = ", ".join(other.name for other in SAMPLER_ROWS if other.draws_noise)
        raise RequestError(
            f"the sampler {row.name} draws no noise in its steps, so it cannot wander; "
            f"choose one of: {drawing}"
        )


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
