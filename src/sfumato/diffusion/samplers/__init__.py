"""Where one step happens: samplers go from noise to the clean latent and yield every step."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.ancestral import ddim, ddpm, euler_ancestral
from sfumato.diffusion.samplers.dpmpp import dpmpp_2m, dpmpp_2m_sde, dpmpp_2m_sigma, dpmpp_sde
from sfumato.diffusion.samplers.ode import euler, heun, lms
from sfumato.diffusion.samplers.step import Denoise, Draw, Sampler, Step
from sfumato.diffusion.samplers.unipc import unipc
from sfumato.diffusion.table import check_wander, sampler_row

__all__ = ["SAMPLERS", "Denoise", "Draw", "Sampler", "Step", "check_wander", "run"]

SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "ddim": ddim,
        "ddpm": ddpm,
        "dpmpp_2m": dpmpp_2m,
        "dpmpp_2m_sde": dpmpp_2m_sde,
        "dpmpp_2m_sigma": dpmpp_2m_sigma,
        "dpmpp_sde": dpmpp_sde,
        "euler": euler,
        "euler_ancestral": euler_ancestral,
        "heun": heun,
        "lms": lms,
        "unipc": unipc,
    }
)


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

    name: a sampler of `sfumato.diffusion.table`, or an alias.
    Raises RequestError for an unknown name, at once and not at the first step.
    """
    sampler = SAMPLERS[sampler_row(name).name]
    return sampler(denoise, x, sigmas, process=process, noise=noise, start=start)
