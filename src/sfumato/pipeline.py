"""From a request to a picture, on one page: prompt, noise levels, noise, steps.

B batch (one picture), C latent channels, H W latent height and width.
"""

from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor

from sfumato.diffusion import samplers
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.samplers import Step
from sfumato.diffusion.schedules import sigmas as schedule
from sfumato.diffusion.table import check_wander
from sfumato.families.base import Conditioning, Family
from sfumato.request import Request

__all__ = ["generate"]


@torch.no_grad()
def generate(model: Family, request: Request, *, start: Step | None = None) -> Iterator[Step]:
    """The steps of one picture, each yielded as soon as it is made.

    ``request`` is resolved and for one picture; ``start`` is a stored step to go on from. The last
    step's ``x`` is the finished latent: `Family.decode` makes the picture of it. Raises PromptError
    and RequestError at once.
    """
    sampler, steps, guidance = request.sampler, request.steps, request.guidance
    name, seed, width, height = request.schedule, request.seed, request.width, request.height
    if sampler is None or steps is None or guidance is None:
        raise AssertionError("a request is resolved before it is run")
    if name is None or seed is None or width is None or height is None:
        raise AssertionError("a request is resolved before it is run")
    assert request.count == 1, "a run makes its pictures one after the other"
    if request.wander:
        check_wander(sampler)

    positive, negative = model.encode(request.prompt, request.negative)
    sigmas = schedule(name, model.process, steps)
    denoise = Guided(
        model.network,
        model.process,
        positive,
        negative,
        Conditioning.join,
        guidance,
        request.rescale,
    )
    wander = None if request.path_seed is None else [request.path_seed]
    shape = model.latent_shape(width, height)
    stream = cast(Literal["cpu", "nv"], request.stream)  # Noise refuses any other
    draws = Noise([seed], shape, stream=stream, wander=wander)

    def noise(k: int) -> Tensor:
        return draws(k).to(model.device)

    first = noise(0)
    x = model.process.mix(torch.zeros_like(first), first, float(sigmas[0]))
    return samplers.run(
        sampler, denoise, x, sigmas, process=model.process, noise=noise, start=start
    )
