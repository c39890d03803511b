"""Noise levels: always descending, and those of the field."""

import math

import pytest
import torch
from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.diffusion.process import Eps, Flow, V, scaled_linear, zero_terminal_snr
from sfumato.diffusion.schedules import SCHEDULES, sigmas
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
