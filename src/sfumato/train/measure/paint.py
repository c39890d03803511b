"""Many prompts painted at once: what a request does, for a batch of prompts and seeds.

B pictures of a batch, S side in pixels, C channels, H W latent height and width.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from sfumato.diffusion import samplers
from sfumato.diffusion.guidance import Guided
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.samplers import Step
from sfumato.diffusion.schedules import sigmas as schedule
from sfumato.families.base import Conditioning, Family, Reading
from sfumato.images import to_images
from sfumato.train.stylize import Picture

__all__ = ["Settings", "paint"]

_BATCH = 16  # pictures painted together
_PLAIN = Reading("plain")  # brackets are letters


@dataclass(frozen=True)
class Settings:
    """With what the pictures are painted; the rest is as the model likes it."""

    steps: int
    guidance: float


@torch.no_grad()
def paint(model: Family, wanted: Sequence[tuple[str, int]], settings: Settings) -> Picture:
    """A picture (N, S, S, 3) for every prompt and seed, in the model's own size and sampler.

    Raises PromptError for a prompt that the model cannot read.
    """
    defaults = model.spec.defaults
    size = (defaults.width, defaults.height)
    made: list[Picture] = []
    heeded: dict[str, Conditioning] = {}  # a prompt is read once
    for first in range(0, len(wanted), _BATCH):
        part = wanted[first : first + _BATCH]
        prompts = [prompt for prompt, _ in part]
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in heeded]
        read, nothing = model.encode(new, "", size, _PLAIN)
        heeded.update(zip(new, read, strict=True))
        positive = reduce(Conditioning.join, [heeded[prompt] for prompt in prompts])
        negative = reduce(Conditioning.join, [nothing] * len(part))
        steps = _steps(model, settings, [seed for _, seed in part], positive, negative)
        (last,) = deque(steps, maxlen=1)
        made += [np.asarray(image) for image in to_images(model.decode(last.x))]
    return np.stack(made)


def _steps(
    model: Family,
    settings: Settings,
    seeds: Sequence[int],
    positive: Conditioning,
    negative: Conditioning,
) -> Iterator[Step]:
    """The steps of a batch, as `pipeline.generate` makes those of one picture."""
    defaults = model.spec.defaults
    shape = model.latent_shape(defaults.width, defaults.height)
    process = model.process(defaults.width, defaults.height)
    sigmas = schedule(defaults.schedule, process, settings.steps)
    draws = Noise(seeds, shape)

    def noise(k: int) -> Tensor:
        return draws(k).to(model.device)

    guided = Guided(
        model.network, process, positive, negative, Conditioning.join, settings.guidance
    )
    first = noise(0)
    x = process.mix(torch.zeros_like(first), first, float(sigmas[0]))
    return samplers.run(defaults.sampler, guided, x, sigmas, process=process, noise=noise)
