"""One path per seed: what its noise depends on, and that more steps refine one picture."""

import itertools
import math

import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow
from sfumato.diffusion.samplers import BROWNIAN
from sfumato.diffusion.samplers.brownian import Brownian
from sfumato.diffusion.samplers.step import Step, level, levels
from sfumato.diffusion.schedules import sigmas
from tests.diffusion.gaussian import SPREAD, deviation, exact, ideal

SHAPE = (4, 32, 32)
PROCESSES = {"eps": Eps(), "flow": Flow(3.0)}
every = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)


def clock(one) -> float:
    return (one.alpha / one.sigma) ** 2


@every
def test_the_noise_of_a_step_is_unit_normal_and_independent_of_other_steps(process):
    path = Brownian(Noise([5], SHAPE))
    line = levels(sigmas("karras", process, 8), process)[:-1]
    steps = torch.stack([path(a, b).flatten() for a, b in itertools.pairwise(line)]).double()
    count = steps.shape[1]
    assert float((steps.mean(1) * count**0.5).abs().max()) < 4
    assert float(((steps.var(1) - 1) * (count / 2) ** 0.5).abs().max()) < 4
    alike = torch.corrcoef(steps) - torch.eye(len(steps))
    assert float(alike.abs().max()) < 4.5 / count**0.5


@every
def test_the_noise_of_a_step_is_the_sum_of_its_parts(process):
    path = Brownian(Noise([5], SHAPE))
    top, middle, low = levels(sigmas("simple", process, 4), process)[:3]
    parts = [(clock(b) - clock(a)) ** 0.5 * path(a, b) for a, b in ((top, middle), (middle, low))]
    whole = (clock(low) - clock(top)) ** 0.5 * path(top, low)
    # The levels lie on a grid of 0.00012 in lambda.
    assert torch.allclose(sum(parts), whole, atol=2e-3 * float(whole.abs().max()))


def test_neither_the_order_of_calls_nor_the_batch_changes_it():
    a, b, c = (level(sigma, 1.0) for sigma in (9.0, 4.0, 0.3))
    one, other = Brownian(Noise([8, 3], SHAPE)), Brownian(Noise([3], SHAPE))
    first, second = one(a, b), one(b, c)
    assert torch.equal(other(b, c)[0], second[1])
    assert torch.equal(other(a, b)[0], first[1])


def test_levels_closer_than_the_grid_still_have_unit_noise():
    path = Brownian(Noise([1], SHAPE))
    near = path(level(1.0, 1.0), level(1.0 - 1e-9, 1.0))
    assert abs(float(near.var()) - 1) < 0.1
    last = path(level(1e-9, 1.0), level(1e-10, 1.0))  # beyond the grid
    assert bool(last.isfinite().all())


def end(name, process, steps, noise, denoise=None, start=None):
    levels = sigmas("karras", process, steps)
    x = process.mix(torch.zeros(1, *SHAPE), Noise([2], SHAPE)(0), float(levels[0]))
    model = ideal(process) if denoise is None else denoise
    return list(BROWNIAN[name](model, x, levels, process=process, noise=noise, start=start))


@every
@pytest.mark.parametrize("name", BROWNIAN)
def test_twice_the_steps_refine_the_same_picture(name, process):
    noise = Noise([2], SHAPE)
    pictures = [end(name, process, steps, noise)[-1].x for steps in (15, 30, 60, 120)]
    apart = [float((a - b).square().mean().sqrt()) for a, b in itertools.pairwise(pictures)]
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 0.12 * SPREAD
    # Another seed gives another picture: two draws of the data are sqrt(2) deviations apart.
    other = end(name, process, 120, Noise([99], SHAPE))[-1].x
    assert float((other - pictures[-1]).square().mean().sqrt()) > 1.1 * SPREAD


@every
@pytest.mark.parametrize("name", BROWNIAN)
def test_pictures_along_a_path_have_the_variance_of_the_data(name, process):
    x = end(name, process, 40, Noise([2], SHAPE))[-1].x
    assert float(x.var()) == pytest.approx(SPREAD**2, rel=0.1)


@every
@pytest.mark.parametrize("name", BROWNIAN)
def test_a_run_along_a_path_goes_on_from_any_step_to_the_bit(name, process):
    whole = end(name, process, 6, Noise([2], SHAPE))
    for stored in whole[:-1]:
        again = Step.from_tensors(stored.tensors())
        rest = end(name, process, 6, Noise([2], SHAPE), start=again)
        assert torch.equal(rest[-1].x, whole[-1].x)


@pytest.mark.parametrize("name", BROWNIAN)
def test_a_path_is_walked_by_its_own_noise_alone(name):
    asked = []

    def draw(k):
        asked.append(k)
        return torch.zeros(1, *SHAPE)

    process = Eps()
    (*_, step) = end(name, process, 4, draw)
    assert min(asked) >= 2**32
    assert bool(step.x.isfinite().all())
    assert deviation(process, 0.0) == SPREAD
    assert math.isfinite(float(exact(process, step.x, 0.5, 0.1).mean()))
