"""Where one step happens: samplers go from noise to the clean latent and yield every step."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from torch import Tensor

from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers.dpmpp import dpmpp_2m
from sfumato.diffusion.samplers.ode import euler
from sfumato.diffusion.samplers.step import Denoise, Draw, Sampler, Step
from sfumato.diffusion.table import sampler_row

__all__ = ["SAMPLERS", "Denoise", "Draw", "Sampler", "Step", "dpmpp_2m", "euler", "run"]

SAMPLERS: Mapping[str, Sampler] = MappingProxyType({"euler": euler, "dpmpp_2m": dpmpp_2m})


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
