"""Where one step happens: samplers go from noise to the clean latent and yield every step."""

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.adams import ipndm, ipndm_v, lms, plms
from sfumato.diffusion.samplers.ancestral import (
    ddim,
    ddpm,
    dpm2_ancestral,
    dpmpp_2s_ancestral,
    euler_ancestral,
)
from sfumato.diffusion.samplers.deis import deis
from sfumato.diffusion.samplers.distilled import lcm, tcd
from sfumato.diffusion.samplers.dpm import dpm_adaptive, dpm_fast
from sfumato.diffusion.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sigma, res_multistep
from sfumato.diffusion.samplers.ode import dpm2, euler, heun
from sfumato.diffusion.samplers.restart import restart
from sfumato.diffusion.samplers.sde import (
    dpmpp_2m_sde,
    dpmpp_2m_sde_heun,
    dpmpp_3m_sde,
    dpmpp_sde,
)
from sfumato.diffusion.samplers.step import Denoise, Draw, Sampler, Step
from sfumato.diffusion.samplers.unipc import unipc, unipc_bh1
from sfumato.diffusion.table import sampler_row

__all__ = [
    "BROWNIAN",
    "SAMPLERS",
    "Denoise",
    "Draw",
    "Sampler",
    "Step",
    "choose",
    "run",
]

SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "ddim": ddim,
        "ddpm": ddpm,
        "deis": deis,
        "dpm2": dpm2,
        "dpm2_ancestral": dpm2_ancestral,
        "dpm_adaptive": dpm_adaptive,
        "dpm_fast": dpm_fast,
        "dpmpp_2m": dpmpp_2m,
        "dpmpp_2m_sde": dpmpp_2m_sde,
        "dpmpp_2m_sde_heun": dpmpp_2m_sde_heun,
        "dpmpp_2m_sigma": dpmpp_2m_sigma,
        "dpmpp_2s_ancestral": dpmpp_2s_ancestral,
        "dpmpp_3m_sde": dpmpp_3m_sde,
        "dpmpp_sde": dpmpp_sde,
        "euler": euler,
        "euler_ancestral": euler_ancestral,
        "heun": heun,
        "ipndm": ipndm,
        "ipndm_v": ipndm_v,
        "lcm": lcm,
        "lms": lms,
        "plms": plms,
        "res_multistep": res_multistep,
        "restart": restart,
        "tcd": tcd,
        "unipc": unipc,
        "unipc_bh1": unipc_bh1,
    }
)

BROWNIAN: Mapping[str, Sampler] = MappingProxyType(
    {
        "dpmpp_2m_sde": partial(dpmpp_2m_sde, brownian=True),
        "dpmpp_2m_sde_heun": partial(dpmpp_2m_sde_heun, brownian=True),
        "dpmpp_3m_sde": partial(dpmpp_3m_sde, brownian=True),
        "dpmpp_sde": partial(dpmpp_sde, brownian=True),
    }
)
"""The samplers that can take their noise from one path per seed; see `samplers.brownian`."""


def choose(name: str, *, brownian: bool = False) -> Sampler:
    """The named sampler.

    name: a sampler of `sfumato.diffusion.table`, or an alias.
    brownian: in the form that takes its noise from one path per seed, where there is one.
    Raises RequestError for an unknown name.
    """
    row = sampler_row(name)
    return BROWNIAN.get(row.name, SAMPLERS[row.name]) if brownian else SAMPLERS[row.name]


def run(
    name: str,
    denoise: Denoise,
    x: Tensor,
    sigmas: Tensor,
    *,
    process: Process,
    noise: Draw,
    start: Step | None = None,
) -> Iterator[Step]:
    """The steps of the named sampler; the arguments are those of `Sampler`.

    Raises RequestError for an unknown name, at once and not at the first step.
    """
    return choose(name)(denoise, x, sigmas, process=process, noise=noise, start=start)
