"""Every sampler under every schedule: one step, two and a thousand; and noise along the way."""

import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow, V
from sfumato.diffusion.samplers import SAMPLERS, choose, run
from sfumato.diffusion.schedules import SCHEDULES, sigmas
from sfumato.diffusion.table import SAMPLER_ROWS, sampler_row
from tests.diffusion.gaussian import MEAN, SPREAD, ideal, variance

SHAPE = (1, 1, 2)
# Two steps are too few for these: from pure noise to the lowest level at one go, they weigh the
# slope found there, which is the first one's error over a small sigma, as k-diffusion's do.
OVERSHOOT = ("dpm2", "dpm2_ancestral", "heun", "plms", "restart")
PROCESSES = {"eps": Eps(), "v to no signal": V(zero_terminal=True), "flow, shift 3": Flow(3.0)}
DRAWING = [row.name for row in SAMPLER_ROWS if row.draws_noise]
every = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


def painted(name: str, schedule: str, process, steps: int, noise=None) -> torch.Tensor:
    """Where a run of seed 0 ends, having made as many steps as it was asked for."""
    draw = Noise([0], SHAPE) if noise is None else noise
    levels = sigmas(schedule, process, steps)
    x = process.mix(torch.zeros(1, *SHAPE), draw(0), float(levels[0]))
    taken = list(run(name, ideal(process), x, levels, process=process, noise=draw))
    assert [step.index for step in taken] == list(range(steps))
    assert taken[-1].x.dtype == torch.float32
    return taken[-1].x


@every
@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_and_two_from_seed_0_end_near_the_data_under_every_schedule(name, process):
    for schedule in SCHEDULES:
        for steps in (1, 2):
            x = painted(name, schedule, process, steps)
            assert bool(x.isfinite().all()), (schedule, steps)
            if steps == 1 or name not in OVERSHOOT:
                assert float((x - MEAN).abs().max()) < 5 * SPREAD, (schedule, steps)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_thousand_steps_end_within_the_data_under_every_schedule(name):
    # Each pair once: the processes take turns, so that all of them meet each sampler.
    for i, schedule in enumerate(SCHEDULES, list(SAMPLERS).index(name)):
        process = list(PROCESSES.values())[i % len(PROCESSES)]
        x = painted(name, schedule, process, 1000)
        assert float((x - MEAN).abs().max()) < 5 * SPREAD, schedule


def walked(name: str, process, noise: Noise, *, brownian: bool) -> tuple[torch.Tensor, ...]:
    """Where a run begins, and where it ends."""
    levels = sigmas("karras", process, 6)
    x = process.mix(torch.zeros(1, *SHAPE), noise(0), float(levels[0]))
    sampler = choose(name, brownian=brownian)
    *_, step = sampler(ideal(process), x, levels, process=process, noise=noise)
    return x, step.x


@every
@pytest.mark.parametrize("brownian", [False, True], ids=["by steps", "along a path"])
@pytest.mark.parametrize("name", DRAWING)
def test_a_wander_takes_another_way_from_the_same_noise(name, brownian, process):
    def end(**wander):
        return walked(name, process, Noise([0], SHAPE, **wander), brownian=brownian)

    (start, plain), (same, away), (_, again) = end(), end(wander=[5]), end(wander=[5])
    assert torch.equal(start, same)
    assert not torch.equal(plain, away)
    assert torch.equal(away, again)
    assert not torch.equal(away, end(wander=[6])[1])
    assert torch.equal(plain, end(wander=[0])[1])  # the seed's own way


MULTISTEP = ("dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde")


@pytest.mark.parametrize("name", MULTISTEP)
def test_a_long_last_step_is_told_of_where_it_swells_the_noise(name):
    # The last step above 0 of these is four times as long, in lambda, as the one before: the line
    # through past estimates is drawn out that far. k-diffusion's formula, so A1111's and ComfyUI's.
    swollen, sound = ("normal", "ddim_uniform", "kl_optimal"), ("simple", "sgm_uniform", "karras")
    for process in (Eps(), Flow(), Flow(3.0)):
        worst = max(variance(name, process, sigmas(s, process, 20), 40) for s in swollen)
        assert worst > 1.4 * SPREAD**2
        for schedule in sound:
            found = variance(name, process, sigmas(schedule, process, 20), 40)
            assert found == pytest.approx(SPREAD**2, rel=0.3)
    summary = sampler_row(name).summary
    assert "karras or sgm_uniform" in summary
