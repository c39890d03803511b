"""What lies outside the mask is the original throughout; what lies inside is the model's."""

import pytest
import torch
from torch import Tensor

from sfumato.diffusion import samplers
from sfumato.diffusion.inpaint import Inpaint
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow, Process
from sfumato.diffusion.schedules import sigmas

SHAPE = (4, 6, 8)
PROCESSES = [Eps(), Flow(3.0)]
DETERMINISTIC = ["euler", "heun", "dpmpp_2m", "lms", "ddim", "unipc"]
STOCHASTIC = ["euler_ancestral", "ddpm", "dpmpp_2m_sde", "dpmpp_sde"]
NOISE = Noise([7], SHAPE)
ORIGINAL = Noise([8], SHAPE)(0)
MASK = torch.zeros(1, 1, 6, 8, dtype=torch.bool)
MASK[..., 2:5, 1:4] = True


def blurred(x: Tensor, sigma: float) -> Tensor:
    """A model whose estimate of each place depends on the places around it."""
    near = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    return (0.3 * near + 0.1) / (1 + sigma)


def run(name: str, process: Process) -> tuple[list[samplers.Step], Tensor, Tensor]:
    """All steps of an inpainting, the levels, and the noise of the start."""
    levels, first = sigmas("normal", process, 12)[4:], NOISE(0)
    denoise = Inpaint(blurred, process, ORIGINAL, first, MASK)
    x = process.mix(ORIGINAL, first, float(levels[0]))
    steps = samplers.run(name, denoise, x, levels, process=process, noise=NOISE)
    return list(steps), levels, first


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("name", DETERMINISTIC + STOCHASTIC)
def test_outside_the_mask_every_estimate_is_the_original_and_so_is_the_end(
    name: str, process: Process
) -> None:
    steps, _, _ = run(name, process)
    outside = ~MASK.expand(1, *SHAPE)
    for step in steps:
        assert torch.equal(step.x0[outside], ORIGINAL[outside])
    torch.testing.assert_close(steps[-1].x[outside], ORIGINAL[outside], rtol=0, atol=1e-5)
    assert (steps[-1].x - ORIGINAL)[~outside].abs().min() > 1e-3


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("name", DETERMINISTIC)
def test_outside_the_mask_x_follows_the_noised_original(name: str, process: Process) -> None:
    steps, levels, first = run(name, process)
    outside = ~MASK.expand(1, *SHAPE)
    for step, sigma in zip(steps, levels[1:].tolist(), strict=True):
        known = process.mix(ORIGINAL, first, sigma)
        torch.testing.assert_close(step.x[outside], known[outside], rtol=1e-4, atol=1e-4)


def test_the_model_sees_the_noised_original_around_the_mask() -> None:
    process, seen = Eps(), list[Tensor]()

    def look(x: Tensor, sigma: float) -> Tensor:
        seen.append(x)
        return x

    x = torch.full((1, *SHAPE), 9.0)
    Inpaint(look, process, ORIGINAL, NOISE(0), MASK)(x, 2.5)
    assert torch.equal(seen[0], torch.where(MASK, x, process.mix(ORIGINAL, NOISE(0), 2.5)))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda p: type(p).__name__)
def test_it_is_the_published_method_of_overwriting_x_after_each_step(process: Process) -> None:
    steps, levels, first = run("euler", process)
    x = process.mix(ORIGINAL, first, float(levels[0]))
    for step, now, after in zip(steps, levels[:-1].tolist(), levels[1:].tolist(), strict=True):
        x0 = blurred(x, now)
        x = x0 + (x - x0) * (after / now)
        x = torch.where(MASK, x, process.mix(ORIGINAL, first, after))
        torch.testing.assert_close(step.x, x, rtol=1e-4, atol=1e-4)
