"""Guidance: what is run, what is added up, in which order, and that diffusers agrees."""

import pytest
import torch

from sfumato.diffusion.combine import clipped, mimicked, rescaled
from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.guidance import (
    Clipped,
    Guidance,
    Guided,
    Mimicked,
    Perturbed,
    Projected,
    ZeroStar,
)
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


def outputs(process):
    """x, and the outputs for the positive and the negative conditioning."""
    x, positive, negative = inputs()
    time = torch.full((3,), process.time(SIGMA))
    seen = process.model_input(x, SIGMA)
    return x, Network()(seen, time, positive), Network()(seen, time, negative)


def under(process, guidance):
    x, positive, negative = inputs()
    return Guided(Network(), process, positive, negative, join, guidance)(x, SIGMA)


@every
def test_a_plain_number_and_a_guidance_of_that_scale_are_the_same_to_the_bit(process):
    x, positive, negative = inputs()
    plain = Guided(Network(), process, positive, negative, join, 7.5, 0.3)(x, SIGMA)
    assert torch.equal(under(process, Guidance(7.5, 0.3)), plain)


@every
@pytest.mark.parametrize(("interval", "batch"), [((0.5, 0.7), 6), ((0.7, 2.0), 3), ((0, 0.6), 3)])
def test_outside_its_interval_guidance_costs_nothing_and_does_nothing(process, interval, batch):
    x, positive, negative = inputs()
    network = Network()
    guided = Guided(network, process, positive, negative, join, Guidance(5.0, interval=interval))
    answer = guided(x, SIGMA)
    assert network.batches == [batch]
    scale = 5.0 if batch == 6 else 1.0
    expected = Guided(Network(), process, positive, negative, join, scale)(x, SIGMA)
    assert torch.equal(answer, expected)


@every
def test_the_zero_star_rule_is_that_of_diffusers(process):
    from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale

    x, plus, minus = outputs(process)
    factor = cfg_zero_star_scale(plus.flatten(1), minus.flatten(1)).view(-1, 1, 1, 1)
    output = factor * minus + 4 * (plus - factor * minus)
    answer = under(process, Guidance(4.0, rule=ZeroStar()))
    assert torch.allclose(answer, process.x0(output, x, SIGMA), rtol=1e-5, atol=1e-6)


@every
def test_zero_star_leaves_x_where_it_is_at_the_levels_that_are_to_be_still(process):
    x, positive, negative = inputs()
    network = Network()
    rule = ZeroStar(still=0.6)
    guided = Guided(network, process, positive, negative, join, Guidance(4.0, rule=rule))
    assert torch.equal(guided(x, SIGMA), process.x0(torch.zeros_like(x), x, SIGMA))
    assert network.batches == []
    guided(x, 0.5)
    assert network.batches == [6]


@every
@pytest.mark.parametrize(("along", "longest"), [(0.0, 15.0), (0.5, 0.0), (0.0, 0.01), (1.0, 0.0)])
def test_the_projected_rule_is_that_of_diffusers_on_clean_estimates(process, along, longest):
    from diffusers.guiders.adaptive_projected_guidance import normalized_guidance

    x, plus, minus = outputs(process)
    plus, minus = (process.x0(one, x, SIGMA) for one in (plus, minus))
    theirs = normalized_guidance(
        plus, minus, 8.0, eta=along, norm_threshold=longest, use_original_formulation=True
    )
    answer = under(process, Guidance(9.0, rule=Projected(along, longest)))
    assert torch.allclose(answer, theirs, rtol=1e-9, atol=1e-9)


@every
def test_projection_with_nothing_taken_out_is_ordinary_guidance(process):
    answer = under(process, Guidance(9.0, rule=Projected(along=1.0, longest=0.0)))
    assert torch.allclose(answer, under(process, 9.0), rtol=1e-9, atol=1e-9)


@every
@pytest.mark.parametrize(("quantile", "limit"), [(0.9, 1.0), (0.995, 0.3), (0.9, 50.0)])
def test_the_clipped_threshold_is_that_of_diffusers(process, quantile, limit):
    from diffusers import DDPMScheduler

    scheduler = DDPMScheduler(dynamic_thresholding_ratio=quantile, sample_max_value=1e6)
    plain = under(process, 9.0).float()
    # Theirs has the limit 1; a scale before and after makes it any other.
    theirs = scheduler._threshold_sample(plain / limit) * limit
    answer = under(process, Guidance(9.0, threshold=Clipped(quantile, limit)))
    assert torch.allclose(answer.float(), theirs, atol=1e-5)
    assert float(answer.abs().max()) <= limit * (1 + 1e-6)


@every
def test_the_mimicked_threshold_has_the_range_of_the_gentler_guidance(process):
    strong, gentle = under(process, 20.0), under(process, 5.0)
    answer = under(process, Guidance(20.0, threshold=Mimicked(scale=5.0)))

    def reach(estimate):
        return (estimate - estimate.mean((2, 3), keepdim=True)).abs().amax((2, 3))

    # Clipping is from both sides of the mean, so that only the further one is exact.
    assert torch.allclose(reach(answer), reach(gentle), rtol=0.05)
    assert bool((reach(strong) > 1.5 * reach(gentle)).all())
    # Within a channel nothing but the scale changes where nothing is clipped.
    shape = (strong - strong.mean((2, 3), keepdim=True)) / reach(strong)[:, :, None, None]
    mine = (answer - strong.mean((2, 3), keepdim=True)) / reach(gentle)[:, :, None, None]
    assert torch.allclose(mine, shape, atol=1e-6)


@every
def test_mimicking_the_same_guidance_changes_nothing(process):
    answer = under(process, Guidance(9.0, threshold=Mimicked(scale=9.0)))
    assert torch.allclose(answer, under(process, 9.0), rtol=1e-9, atol=1e-9)


def test_the_clipped_share_of_a_mimicked_channel_is_cut_at_its_quantile():
    strong = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    strong[0, 0, 0, 0], strong[0, 0, 0, 1] = 100.0, -100.0  # mean 0
    strong[0, 0, 1:3] = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(10).view(2, 10)
    gentle = strong.clamp(-1, 1)
    assert float(mimicked(strong, gentle, 0.5).abs().max()) == pytest.approx(1)
    assert mimicked(strong, gentle, 0.5)[0, 0, 1].abs().mean() == pytest.approx(1)
    assert mimicked(strong, gentle, 1.0)[0, 0, 1].abs().mean() == pytest.approx(0.01)


@every
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_perturbed_network_is_led_away_from_as_in_diffusers(process, scale):
    from diffusers import LayerSkipConfig
    from diffusers.guiders import SkipLayerGuidance

    x, positive, negative = inputs()
    network, worse = Network(), Network()

    def perturbed(x, time, conditioning):
        return 0.7 * worse(x, time, conditioning)

    guided = Guided(network, process, positive, negative, join, scale)
    answer = guided.away_from(Perturbed(perturbed, 2.5))(x, SIGMA)
    assert network.batches == [6 if scale != 1 else 3]
    assert worse.batches == [3]

    _, plus, minus = outputs(process)
    theirs = SkipLayerGuidance(scale, 2.5, skip_layer_config=LayerSkipConfig([1], fqn="blocks"))
    theirs.set_state(step=5, num_inference_steps=100, timestep=torch.tensor(0))
    # Their skip-layer part counts from the perturbed output where CFG is off: one more of it.
    output = (
        theirs.forward(plus, minus, 0.7 * plus).pred
        if scale != 1
        else plus + 2.5 * (plus - 0.7 * plus)
    )
    assert torch.allclose(answer, process.x0(output, x, SIGMA), rtol=1e-9, atol=1e-9)
    assert torch.equal(guided(x, SIGMA), under(process, scale))  # the first one is as it was


@every
def test_outside_its_interval_the_perturbed_network_is_not_asked(process):
    x, positive, negative = inputs()
    guided = Guided(Network(), process, positive, negative, join, 4.0)

    def never(x, time, conditioning):
        raise AssertionError("asked")

    away = guided.away_from(Perturbed(never, 2.5, interval=(0.8, 5.0)))
    assert torch.equal(away(x, SIGMA), guided(x, SIGMA))


@every
def test_rule_perturbation_rescaling_and_threshold_act_in_this_order(process):
    x, plus, minus = outputs(process)
    _, positive, negative = inputs()
    fit = minus * ((plus * minus).sum((1, 2, 3)) / (minus * minus).sum((1, 2, 3))).view(-1, 1, 1, 1)
    output = fit + 6 * (plus - fit) + 2 * (plus - 0.5 * plus)
    output = 0.4 * output + 0.6 * rescaled(output, plus)
    expected = clipped(process.x0(output, x, SIGMA), 0.9, 0.5)
    asked = Guidance(6.0, 0.6, None, ZeroStar(), Clipped(0.9, 0.5))
    guided = Guided(Network(), process, positive, negative, join, asked)
    away = guided.away_from(Perturbed(lambda *given: 0.5 * Network()(*given), 2.0))
    assert torch.allclose(away(x, SIGMA), expected, rtol=1e-6, atol=1e-6)


def test_rescaled_has_the_deviation_of_the_positive_output_in_each_picture():
    x, positive, _ = inputs()
    back = rescaled(x * 5, positive * x)
    assert torch.allclose(back.std((1, 2, 3)), (positive * x).std((1, 2, 3)), rtol=1e-12)
