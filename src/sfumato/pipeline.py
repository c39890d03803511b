"""From a request to a picture, on one page: prompt, noise levels, noise, steps.

B batch (one picture), C latent channels, H W latent height and width.
"""

from collections.abc import Iterator

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
    and RequestError before the first step.
    """
    steps, width, height = request.steps, request.width, request.height
    assert request.sampler and request.schedule and request.count == 1
    assert steps and width and height and request.seed is not None
    assert request.guidance is not None
    if request.wander:
        check_wander(request.sampler)

    positive, negative = model.encode(request.prompt, request.negative)
    sigmas = schedule(request.schedule, model.process, steps)
    denoise = Guided(
        model.network,
        model.process,
        positive,
        negative,
        Conditioning.join,
        request.guidance,
        request.rescale,
    )
    wander = None if request.path_seed is None else [request.path_seed]
    shape = model.latent_shape(width, height)
    draws = Noise([request.seed], shape, stream=request.stream, wander=wander)

    def noise(k: int) -> Tensor:
        return draws(k).to(model.device)

    first = noise(0)
    x = model.process.mix(torch.zeros_like(first), first, float(sigmas[0]))
    yield from samplers.run(
        request.sampler, denoise, x, sigmas, process=model.process, noise=noise, start=start
    )
