"""What networks predict: the coordinates of eps, v and flow, against their papers."""

import math

import pytest
import torch

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.process import (
    Eps,
    Flow,
    V,
    scaled_linear,
    zero_terminal_snr,
)
from sfumato.diffusion.shift import shift_of_flux, shifted

PROCESSES = (Eps(), V(), Flow(), Flow(3.0), V(zero_terminal_snr(scaled_linear())))
NAMES = ("eps", "v", "flow", "flow, shift 3", "v, zero terminal SNR")
every = pytest.mark.parametrize("process", PROCESSES, ids=NAMES)


def normal(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@every
def test_x0_undoes_target_at_every_level_of_a_batch(process):
    sigma = process.table[[0, 300, 700, 990]]
    x0, noise = normal(0, 4, 2, 3, 3), normal(1, 4, 2, 3, 3)
    x = process.mix(x0, noise, sigma)
    assert torch.allclose(process.x0(process.target(x0, noise, sigma), x, sigma), x0, atol=1e-9)


@every
def test_a_level_for_each_picture_is_the_same_as_one_level_for_all(process):
    sigma = process.table[[5, 998]]
    x0, noise = normal(0, 2, 1, 2, 2), normal(1, 2, 1, 2, 2)
    x = process.mix(x0, noise, sigma)
    for i in (0, 1):
        one, level = slice(i, i + 1), float(sigma[i])
        pairs = (
            (x, process.mix(x0[one], noise[one], level)),
            (process.model_input(x, sigma), process.model_input(x[one], level)),
            (process.target(x0, noise, sigma), process.target(x0[one], noise[one], level)),
            (process.x0(noise, x, sigma), process.x0(noise[one], x[one], level)),
        )
        assert all(torch.allclose(both[one], alone, rtol=1e-12) for both, alone in pairs)
        assert float(process.time(sigma)[i]) == pytest.approx(process.time(level), abs=1e-9)
        assert float(process.alpha(sigma)[i]) == process.alpha(level)


@every
def test_the_network_sees_unit_variance_or_the_interpolation_itself(process):
    x0, noise = normal(0, 4, 1, 64, 64), normal(1, 4, 1, 64, 64)
    sigma = process.table[[0, 300, 700, 999]]
    seen = process.model_input(process.mix(x0, noise, sigma), sigma).var((1, 2, 3))
    one = process.alpha(sigma) ** 2 + sigma**2 if isinstance(process, Flow) else torch.ones(4)
    assert seen.tolist() == pytest.approx(one.tolist(), rel=0.05)


def test_the_table_is_that_of_the_published_files():
    # Stable Diffusion 1.5: abar of the first and of the last step, as in its checkpoint.
    kept = scaled_linear()
    assert kept[[0, 999]].tolist() == pytest.approx([0.99915, 0.0046600], rel=1e-4)
    assert (Eps().sigma_min, Eps().sigma_max) == pytest.approx((0.029167, 14.6146), rel=1e-5)


@pytest.mark.parametrize("process", [Eps(), V(), PROCESSES[-1]])
def test_time_counts_the_table_and_is_linear_in_log_sigma_between(process):
    for i in (0, 1, 500, 998, 999):
        assert process.time(float(process.table[i])) == i
        assert process.sigma_at(i) == float(process.table[i])
    assert process.time(process.table).tolist() == pytest.approx(list(range(1000)), abs=1e-9)
    between = math.sqrt(float(process.table[10]) * float(process.table[11]))
    assert process.time(between) == pytest.approx(10.5)
    assert process.sigma_at(10.5) == pytest.approx(between)


@pytest.mark.parametrize("sigma", [0.0, 1e-4])
def test_levels_outside_the_table_have_the_time_of_its_end(sigma):
    assert Eps().time(sigma) == 0
    assert Eps().time(torch.tensor([sigma])).item() == 0
    assert Eps().time(100.0) == 999
    assert Eps().time(torch.tensor([100.0])).item() == 999


@every
def test_the_level_of_a_signal_to_noise_ratio_is_its_inverse(process):
    for i in (0, 500, 998):
        sigma = float(process.table[i])
        ratio = math.log(process.alpha(sigma) / sigma)
        assert process.sigma_of(ratio) == pytest.approx(sigma, rel=1e-9)


def test_the_velocity_is_that_of_the_paper():
    # Salimans and Ho 2022: v = alpha noise - sigma x0 for alpha^2 + sigma^2 = 1.
    x0, noise, angle = normal(0, 1, 1, 2, 2), normal(1, 1, 1, 2, 2), 0.6
    v = math.cos(angle) * noise - math.sin(angle) * x0
    assert torch.allclose(V().target(x0, noise, math.tan(angle)), v)


def test_a_flow_goes_in_a_straight_line_and_its_shift_moves_the_middle():
    flow = Flow(3.0)
    x0, noise = normal(0, 1, 1, 2, 2), normal(1, 1, 1, 2, 2)
    assert torch.allclose(flow.mix(x0, noise, 0.25), 0.75 * x0 + 0.25 * noise)
    assert torch.equal(flow.target(x0, noise, 0.25), noise - x0)
    assert flow.sigma_at(500) == pytest.approx(0.75)  # SD3: 3 * 0.5 / (1 + 2 * 0.5)
    assert flow.sigma_max == 1
    assert flow.time(0.75) == 750


def test_zero_terminal_snr_ends_in_noise_and_keeps_the_first_level():
    kept, moved = scaled_linear(), zero_terminal_snr(scaled_linear())
    assert float(moved[0]) == pytest.approx(float(kept[0]), rel=1e-12)
    assert bool((moved.diff() < 0).all())
    assert V(moved).sigma_max == pytest.approx(4096, rel=1e-6)


@every
def test_the_denoiser_gives_the_network_its_input_and_the_sampler_the_clean_estimate(process):
    seen = []

    def network(x, time, conditioning):
        seen.append((x, time, conditioning))
        return x.half() * 0.5  # a network in half precision

    x, sigma = normal(0, 2, 1, 4, 4).float(), float(process.table[600])
    x0 = Denoiser(network, process, "words")(x, sigma)
    ((given, time, conditioning),) = seen
    assert conditioning == "words"
    assert torch.equal(given, process.model_input(x, sigma))
    assert time.shape == (2,)
    assert time.dtype == torch.float32
    assert time.tolist() == pytest.approx([process.time(sigma)] * 2)
    assert x0.dtype == torch.float32
    assert torch.allclose(x0, process.x0((given.half() * 0.5).float(), x, sigma))


@every
@pytest.mark.parametrize("time", [1.0, 250.0, 333.3, 998.9])
def test_a_level_is_found_by_its_network_time(process, time):
    assert process.time(process.sigma_for(time)) == pytest.approx(time, rel=1e-9)


def test_zero_terminal_snr_is_an_option_of_the_table():
    assert torch.equal(V(zero_terminal=True).table, V(zero_terminal_snr(scaled_linear())).table)
    assert Eps(zero_terminal=True).sigma_max == pytest.approx(4096, rel=1e-6)


def test_a_shift_divides_the_signal_to_noise_ratio():
    assert (1 - shifted(0.4, 3.0)) / shifted(0.4, 3.0) == pytest.approx((1 - 0.4) / 0.4 / 3)
    assert (shifted(0.0, 3.0), shifted(1.0, 3.0)) == (0, 1)


def test_the_shift_of_flux_is_that_of_diffusers():
    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    for tokens in (256, 1024, 4096, 8100):
        assert shift_of_flux(tokens) == pytest.approx(math.exp(calculate_shift(tokens)))


@pytest.mark.parametrize("make", [Eps, V])
def test_whole_times_are_those_of_the_nearest_entry_in_log_sigma(make):
    process, plain = make(whole_times=True), make()
    for sigma in (0.03, 0.5, 1.234, 7.0, 14.0, 0.001, 99.0):
        nearest = (process.table.log() - math.log(sigma)).abs().argmin().item()
        assert process.time(sigma) == nearest
        assert process.time(torch.tensor([sigma])).item() == nearest
    assert torch.equal(process.table, plain.table)
    assert process.sigma_at(10.5) == plain.sigma_at(10.5)
