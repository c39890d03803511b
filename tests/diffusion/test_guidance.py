"""Guidance: what is run, what is added up, and that diffusers agrees."""

import pytest
import torch

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.guidance import Guided, rescaled
from sfumato.diffusion.process import Eps, Flow, V

every = pytest.mark.parametrize("process", [Eps(), V(), Flow()], ids=["eps", "v", "flow"])
SIGMA = 0.7


class Network:
    """A smooth function of everything it gets; remembers the batches it ran."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, x, time, conditioning):
        self.batches.append(len(x))
        return torch.tanh(x * conditioning + time.view(-1, 1, 1, 1) / 1000)


def inputs():
    x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    positive = torch.linspace(0.5, 2, 3, dtype=torch.float64).view(3, 1, 1, 1)
    return x, positive, -positive


def join(positive, negative):
    return torch.cat([positive, negative])


@every
def test_both_halves_run_as_one_batch_and_equal_two_runs(process):
    x, positive, negative = inputs()
    network = Network()
    guided = Guided(network, process, positive, negative, join, guidance=7.5)(x, SIGMA)
    assert network.batches == [6]
    plus, minus = (Denoiser(Network(), process, c)(x, SIGMA) for c in (positive, negative))
    # Guided in x0: the weights add up to 1 and x0 is affine in the output.
    assert torch.allclose(guided, minus + 7.5 * (plus - minus), rtol=1e-12, atol=1e-12)


@every
def test_guidance_1_runs_the_positive_half_alone_and_0_gives_the_negative(process):
    x, positive, negative = inputs()
    network = Network()
    alone = Guided(network, process, positive, negative, join, guidance=1.0, rescale=0.7)
    assert torch.equal(alone(x, SIGMA), Denoiser(Network(), process, positive)(x, SIGMA))
    assert network.batches == [3]
    none = Guided(Network(), process, positive, negative, join, guidance=0.0)(x, SIGMA)
    assert torch.allclose(none, Denoiser(Network(), process, negative)(x, SIGMA), rtol=1e-12)


@every
@pytest.mark.parametrize("rescale", [0.3, 0.7, 1.0])
def test_rescaling_is_that_of_diffusers_on_the_output_of_the_network(process, rescale):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    x, positive, negative = inputs()
    time = torch.full((3,), process.time(SIGMA))
    plus, minus = (Network()(process.model_input(x, SIGMA), time, c) for c in (positive, negative))
    output = rescale_noise_cfg(minus + 9 * (plus - minus), plus, guidance_rescale=rescale)
    mine = Guided(Network(), process, positive, negative, join, guidance=9.0, rescale=rescale)
    assert torch.allclose(mine(x, SIGMA), process.x0(output, x, SIGMA), rtol=1e-6, atol=1e-7)


def test_rescaled_has_the_deviation_of_the_positive_output_in_each_picture():
    x, positive, _ = inputs()
    back = rescaled(x * 5, positive * x)
    assert torch.allclose(back.std((1, 2, 3)), (positive * x).std((1, 2, 3)), rtol=1e-12)
