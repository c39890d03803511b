"""Noise levels: always descending, and those of the field."""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.diffusion.process import Eps, Flow, V, scaled_linear, zero_terminal_snr
from sfumato.diffusion.published import ALIGN_YOUR_STEPS
from sfumato.diffusion.schedules import SCHEDULES, own, polyexponential, sigmas
from sfumato.errors import RequestError

# diffusers converts torch tensors in a way that numpy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STABLE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
PROCESSES = (Eps(), V(zero_terminal_snr(scaled_linear())), Flow(), Flow(3.0), Flow(0.5))


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    name=st.sampled_from(sorted(SCHEDULES)),
    process=st.sampled_from(PROCESSES),
    steps=st.integers(1, 1000) | st.sampled_from([1, 2, 999, 1000]),
)
def test_levels_are_finite_and_strictly_descending_to_0(name, process, steps):
    levels = sigmas(name, process, steps)
    assert levels.shape == (steps + 1,)
    assert levels.dtype == torch.float64
    assert bool(levels.isfinite().all())
    assert bool((levels.diff() < 0).all())
    assert levels[-1] == 0
    assert levels[0] <= process.sigma_max


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"ddim_uniform"}))
@pytest.mark.parametrize("steps", [1, 2, 20, 1000])
def test_all_but_ddim_start_at_pure_noise_to_the_bit(name, steps):
    for process in PROCESSES:
        assert float(sigmas(name, process, steps)[0]) == process.sigma_max


@pytest.mark.parametrize("steps", [0, -3, 1001])
def test_a_number_of_steps_that_no_schedule_has_is_refused(steps):
    with pytest.raises(RequestError, match=f"{steps} steps; give 1 to 1000"):
        sigmas("karras", Eps(), steps)


def test_an_alias_is_the_schedule_and_an_unknown_name_an_error():
    assert torch.equal(sigmas("Karras", Eps(), 5), sigmas("karras", Eps(), 5))
    with pytest.raises(RequestError, match="unknown schedule"):
        sigmas("cosine", Eps(), 5)


@pytest.mark.parametrize(
    ("name", "options", "counts"),
    [
        # diffusers interpolates sigma between table entries, k-diffusion and we its logarithm:
        # the same where 999 / (steps - 1) is whole.
        ("normal", {"timestep_spacing": "linspace"}, (4, 10, 28, 38)),
        ("karras", {"use_karras_sigmas": True}, (2, 7, 20, 50)),
        ("exponential", {"use_exponential_sigmas": True}, (2, 7, 20, 50)),
        ("simple", {"timestep_spacing": "trailing"}, (1, 20, 50, 1000)),
        ("ddim_uniform", {"timestep_spacing": "leading", "steps_offset": 1}, (1, 20, 30, 999)),
    ],
)
def test_diffusers_has_the_same_levels_and_times(name, options, counts):
    for steps in counts:
        theirs = EulerDiscreteScheduler(**STABLE, **options)
        process = Eps(theirs.alphas_cumprod)
        theirs.set_timesteps(steps)
        mine = sigmas(name, process, steps)
        assert torch.allclose(mine.float(), theirs.sigmas, rtol=1e-5, atol=0), steps
        times = [process.time(float(sigma)) for sigma in mine[:-1]]
        assert times == pytest.approx(theirs.timesteps.tolist(), abs=2e-3), steps


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 2, 28, 1000])
def test_diffusers_has_the_same_levels_on_a_flow(shift, steps):
    theirs = FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(steps)
    mine = sigmas("normal", Flow(shift), steps)
    assert torch.allclose(mine.float(), theirs.sigmas, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("steps", [1, 4, 20, 50])
def test_simple_is_the_schedule_of_flux(steps):
    mu = 0.83
    theirs = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    theirs.set_timesteps(sigmas=[1 - i / steps for i in range(steps)], mu=mu)
    mine = sigmas("simple", Flow(math.exp(mu)), steps)
    assert torch.allclose(mine.float(), theirs.sigmas, rtol=1e-5, atol=0)


def test_sgm_uniform_leaves_out_the_lower_end():
    process = Eps()
    times = [process.time(float(sigma)) for sigma in sigmas("sgm_uniform", process, 4)[:-1]]
    assert times == pytest.approx([999, 749.25, 499.5, 249.75])


def test_karras_is_equation_5():
    low, high = Eps().sigma_min, Eps().sigma_max
    middle = (high ** (1 / 7) + 0.5 * (low ** (1 / 7) - high ** (1 / 7))) ** 7
    assert sigmas("karras", Eps(), 3).tolist() == pytest.approx([high, middle, low, 0])


def test_diffusers_has_the_same_aligned_steps():
    from diffusers.schedulers.scheduling_utils import AysSchedules

    for name, theirs in (
        ("align_your_steps", "StableDiffusionSigmas"),
        ("align_your_steps_sdxl", "StableDiffusionXLSigmas"),
    ):
        # They round to three places, after another rounding in the middle.
        mine = sigmas(name, Eps(), 10).tolist()
        assert mine == pytest.approx(AysSchedules[theirs], rel=2e-3, abs=2e-3)
    assert list(ALIGN_YOUR_STEPS["svd"][:-1]) == AysSchedules["StableDiffusionVideoSigmas"][:-1]


def test_aligned_steps_of_another_number_lie_on_lines_between_the_logarithms():
    mine, published = sigmas("align_your_steps", Eps(), 20), ALIGN_YOUR_STEPS["sd1"]
    assert mine[2:20:2].tolist() == pytest.approx(published[1:-1], rel=1e-7)
    assert mine[1:20:2].tolist() == pytest.approx(
        [math.sqrt(a * b) for a, b in pairwise(published)], rel=1e-7
    )


def test_published_levels_keep_their_signal_to_noise_ratio_on_a_flow():
    mine, flow = (sigmas("align_your_steps", process, 10)[1:-1] for process in (Eps(), Flow()))
    assert ((1 - flow) / flow).tolist() == pytest.approx((1 / mine).tolist(), rel=1e-6)


def test_published_levels_beyond_the_range_of_the_process_are_cut_off():
    mine = sigmas("align_your_steps_svd", Eps(), 6).tolist()
    assert mine[0] == Eps().sigma_max
    assert Eps().sigma_min < mine[-2] < mine[1] < 14


def test_gits_has_the_published_levels():
    assert sigmas("gits", Eps(), 4)[1:-1].tolist() == pytest.approx(
        [2.36326075, 0.92192322, 0.36617002], rel=3e-5
    )
    assert sigmas("gits", Eps(), 10)[[1, 4, 9]].tolist() == pytest.approx(
        [5.85520077, 1.08895338, 0.09824532], rel=3e-5
    )
    longest, divided = sigmas("gits", Eps(), 20), sigmas("gits", Eps(), 40)
    assert divided[2:40:2].tolist() == pytest.approx(longest[1:20].tolist(), rel=1e-9)


def test_beta_places_are_those_of_the_beta_distribution():
    from scipy import stats

    process = Flow()  # its table is i / 1000, i = 1 ... 1000
    for steps in (2, 9, 1000):
        places = [stats.beta.ppf(1 - i / steps, 0.6, 0.6) * 999 for i in range(steps)]
        mine = sigmas("beta", process, steps)[:-1]
        assert (1000 * mine - 1).tolist() == pytest.approx(places, abs=1e-9)


def test_kl_optimal_is_even_in_the_angle():
    angles = sigmas("kl_optimal", Eps(), 8)[:-1].arctan()
    assert torch.allclose(angles.diff(), angles.diff()[0])
    flow = sigmas("kl_optimal", Flow(), 8)[:-1]
    angles = torch.atan2(flow, 1 - flow)
    assert torch.allclose(angles.diff(), angles.diff()[0])


def test_linear_quadratic_is_that_of_mochi():
    # genmo's published function, written out: a line to 0.025, then a parabola to 1.
    steps, slow, line = 20, 10, 0.025
    gap = slow - line * steps
    bend = gap / (slow * (steps - slow) ** 2)
    slope = line / slow - 2 * gap / (steps - slow) ** 2
    gone = [i * line / slow for i in range(slow)]
    gone += [bend * i**2 + slope * i + bend * slow**2 for i in range(slow, steps)]
    assert sigmas("linear_quadratic", Flow(), steps)[:-1].tolist() == pytest.approx(
        [1 - one for one in gone]
    )
    top = Eps().sigma_max
    assert sigmas("linear_quadratic", Eps(), steps)[:-1].tolist() == pytest.approx(
        [top * (1 - one) for one in gone]
    )


def test_polyexponential_is_exponential_until_it_is_bent():
    plain = sigmas("exponential", Eps(), 9).tolist()
    assert sigmas("polyexponential", Eps(), 9).tolist() == pytest.approx(plain)
    bent = polyexponential(Eps(), 9, rho=2.0)
    assert all(a < b for a, b in zip(bent[1:-1], plain[1:-2], strict=True))
    assert (bent[0], bent[-1]) == (Eps().sigma_max, Eps().sigma_min)


@pytest.mark.parametrize("given", [[10.0, 3.0, 0.5], [10.0, 3.0, 0.5, 0.0], (10, 3, 0.5)])
def test_own_levels_are_taken_as_they_are(given):
    assert own(given, Eps()).tolist() == [10, 3, 0.5, 0]
    assert own(given, Eps()).dtype == torch.float64


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ([], "0 sigmas above 0; give 1 to 1000"),
        ([0.0], "0 sigmas above 0"),
        ([1.0] * 1002, "1002 sigmas above 0"),
        ([3.0, 3.0], "sigma 2 is 3; .* lower than the one before, 3"),
        ([3.0, 5.0, 0.0], "sigma 2 is 5"),
        ([3.0, -1.0], "sigma 2 is -1; each must be above 0"),
        ([3.0, 0.0, 0.0], "sigma 2 is 0"),
        ([3.0, math.nan], "sigma 2 is nan"),
        ([15.0], "sigma 1 is 15; .* no higher than pure noise, 14.6"),
        ([math.inf], "sigma 1 is inf"),
    ],
)
def test_own_levels_that_are_no_schedule_are_refused(given, answer):
    with pytest.raises(RequestError, match=answer):
        own(given, Eps())


def test_pure_noise_itself_may_be_given_as_float32_or_as_it_is_printed():
    assert own([Eps().sigma_max], Eps())[0] == Eps().sigma_max
    assert len(own([14.61465], Eps())) == 2  # 14.614647, rounded up


@pytest.mark.parametrize("steps", [*range(1, 51)])
def test_lcm_takes_the_levels_that_diffusers_lcm_scheduler_takes(steps: int) -> None:
    from diffusers import LCMScheduler

    scheduler = LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(steps)
    process = Eps()
    mine = [process.time(float(sigma)) for sigma in sigmas("lcm", process, steps)[:-1]]
    assert mine == pytest.approx(scheduler.timesteps.tolist(), abs=1e-6)
