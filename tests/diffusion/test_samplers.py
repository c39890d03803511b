"""Samplers against Gaussian data, whose answer is a formula, and against being stopped anywhere."""

import math

import pytest
import torch
from safetensors.torch import load, save

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow, V
from sfumato.diffusion.samplers import SAMPLERS, Step, run
from sfumato.diffusion.samplers.adams import ipndm, ipndm_v, lms, plms
from sfumato.diffusion.samplers.distilled import tcd
from sfumato.diffusion.samplers.unipc import unipc
from sfumato.diffusion.schedules import sigmas
from sfumato.diffusion.table import SAMPLER_ROWS, sampler_row
from sfumato.errors import RequestError
from tests.diffusion.gaussian import MEAN, SPREAD, deviation, exact, ideal, last, silent, variance

ROWS = {row.name: row for row in SAMPLER_ROWS}
QUIET = [row.name for row in SAMPLER_ROWS if not row.draws_noise and row.name != "dpm_adaptive"]
NOISY = [row.name for row in SAMPLER_ROWS if row.draws_noise and row.order > 0]
# Multistep methods whose formula has a higher order than the run: it shows where the first steps
# weigh little. More is no fault, less is.
BETTER = {"lms": 0.8, "ipndm_v": 0.8, "plms": 1.1, "dpm_fast": 0.8, "deis": 0.2}
# Calls in six steps beside `calls` for each; restart goes twice through four of these steps.
EXTRA = {"plms": 1, "restart": 8}
PROCESSES = {"eps": Eps(), "v": V(), "flow": Flow(), "flow, shift 3": Flow(3.0)}
POINTS = torch.tensor([1.3, -0.4], dtype=torch.float64).view(1, 1, 1, 2)


def even(process, steps: int) -> torch.Tensor:
    """Levels that end above 0, evenly spaced in what the process is smooth in."""
    parts = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    if isinstance(process, Flow):
        return 1.0 - 0.95 * parts  # from pure noise, where alpha = 0
    return 10 * torch.exp(math.log(0.01) * parts)


def error(name: str, process, steps: int) -> float:
    """How far a sampler ends from the exact answer; with noise, the exact variance."""
    levels = even(process, steps)
    first, end = float(levels[0]), float(levels[-1])
    if name in NOISY:
        return abs(variance(name, process, levels, 2 * steps) - deviation(process, end) ** 2)
    x = POINTS * first
    return float((last(name, process, x, levels) - exact(process, x, first, end)).abs().max())


@pytest.mark.parametrize("name", [*QUIET, *NOISY])
@pytest.mark.parametrize("process", [Eps(), V(), Flow()], ids=["eps", "v", "flow"])
def test_halving_the_step_divides_the_error_by_two_to_the_order(name, process):
    coarse, fine = error(name, process, 252), error(name, process, 504)
    order = ROWS[name].order
    assert order - 0.15 < math.log2(coarse / fine) < order + BETTER.get(name, 0.12)


@pytest.mark.parametrize("name", QUIET)
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_with_1000_steps_the_answer_is_the_exact_one(name, process):
    levels = sigmas("karras", process, 1000)
    x = POINTS * float(levels[0])
    end = exact(process, x, float(levels[0]), 0.0)
    assert torch.allclose(last(name, process, x, levels), end, rtol=0, atol=3e-3)


@pytest.mark.parametrize(("order", "slope"), [(1, 2), (2, 3), (3, 4)])
def test_the_corrector_lifts_unipc_by_one_order_within_a_run(order, slope):
    # Theorem 3.1: UniPC-p has order p + 1; the run is stopped before its low last steps, and its
    # first steps are taken with a thousandth of the step.
    process = Eps()

    def distance(steps: int) -> float:
        grid = torch.linspace(0, 3, steps + 1, dtype=torch.float64)
        low = torch.linspace(0, 3 / steps, 1001, dtype=torch.float64)[1:-1]
        levels = torch.exp(1 - torch.cat([grid[:1], low, grid[1:]]))
        x = POINTS * float(levels[0])
        # Stop where the next prediction begins: its base is the corrected x.
        for step in unipc(ideal(process), x, levels, process=process, noise=silent, order=order):
            if step.index == len(levels) - 1 - order:
                end = float(levels[step.index])
                return float(
                    (step.history[0] - exact(process, x, float(levels[0]), end)).abs().max()
                )
        raise AssertionError

    assert math.log2(distance(32) / distance(64)) > slope - 0.2


@pytest.mark.parametrize(("sampler", "order"), [(lms, 4), (ipndm, 4), (ipndm_v, 4), (plms, 4)])
def test_the_formulas_of_four_directions_are_of_fourth_order_on_even_steps(sampler, order):
    process = Flow()

    def distance(steps: int) -> float:
        levels = 0.9 - 0.8 * torch.linspace(0, 1, steps + 1, dtype=torch.float64)
        x = [exact(process, POINTS, 0.9, float(level)) for level in levels[:4]]
        x0 = [ideal(process)(at, float(level)) for at, level in zip(x, levels[:4], strict=True)]
        past = [(a - b) / float(s) for a, b, s in zip(x, x0, levels[:4], strict=True)]
        start = Step(2, x[3], x0[2], (past[2], past[1], past[0]))
        *_, step = sampler(ideal(process), x[0], levels, process=process, noise=silent, start=start)
        return float((step.x - exact(process, POINTS, 0.9, 0.1)).abs().max())

    assert math.log2(distance(64) / distance(128)) == pytest.approx(order, abs=0.2)


def test_uneven_steps_cost_ipndm_its_precision_and_ipndm_v_not():
    levels = torch.tensor(
        [10.0 * 0.97**i if i % 2 else 10.0 * 0.97 ** (i + 0.5) for i in range(150)]
    )
    x = POINTS * float(levels[0])
    end = exact(Eps(), x, float(levels[0]), float(levels[-1]))
    fixed, fitted = (last(name, Eps(), x, levels) - end for name in ("ipndm", "ipndm_v"))
    assert float(fixed.abs().max()) > 10 * float(fitted.abs().max())


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_dpm_adaptive_chooses_its_own_steps_whatever_the_schedule(process):
    calls = []

    def denoise(x, sigma):
        calls.append(sigma)
        return ideal(process)(x, sigma)

    ends = []
    for steps in (5, 80):
        levels = sigmas("karras", process, steps)
        levels[0] = min(float(levels[0]), 0.99 * process.sigma_max)  # the same ends for both
        x = POINTS * float(levels[0])
        calls.clear()
        taken = list(run("dpm_adaptive", denoise, x, levels, process=process, noise=silent))
        assert [step.index for step in taken] == list(range(steps))
        assert len(calls) % 3 == 1  # three for each step, one for the last, to 0
        ends.append((len(calls), taken[-1].x))
        assert torch.allclose(taken[-1].x, exact(process, x, float(levels[0]), 0.0), atol=0.03)
    assert ends[0][0] == ends[1][0]
    assert torch.equal(ends[0][1], ends[1][1])


@pytest.mark.parametrize("name", [*QUIET, *NOISY, "dpm_adaptive"])
@pytest.mark.parametrize("schedule", ["normal", "karras", "kl_optimal", "gits"])
def test_20_steps_from_zero_terminal_snr_do_not_run_away(name, schedule):
    process, draw = V(zero_terminal=True), Noise([0], (1, 8, 8))
    levels = sigmas(schedule, process, 20)
    x = process.mix(torch.zeros(1, 1, 8, 8), draw(0), float(levels[0]))
    assert float((last(name, process, x, levels, draw) - MEAN).abs().max()) < 20 * SPREAD


def test_dpm_adaptive_ends_although_the_network_gives_no_numbers():
    levels = even(Eps(), 4)
    taken = list(
        run(
            "dpm_adaptive",
            lambda x, sigma: x * math.nan,
            POINTS * 10,
            levels,
            process=Eps(),
            noise=silent,
        )
    )
    assert len(taken) == 4
    assert bool(taken[-1].x.isnan().all())


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
@pytest.mark.parametrize("steps", [1, 4])
def test_lcm_gives_the_data_of_a_perfectly_distilled_model_in_any_number_of_steps(process, steps):
    # Its answer is the end of the ODE. Mean 0: a run is linear in the first x and in each draw.
    def consistent(x, sigma):
        return x * SPREAD / deviation(process, sigma)

    levels = sigmas("simple", process, steps)
    units = torch.eye(steps, dtype=torch.float64).view(steps, 1, 1, steps)
    first = units[:1] * deviation(process, float(levels[0]))
    *_, step = run(
        "lcm", consistent, first, levels, process=process, noise=lambda k: units[k : k + 1]
    )
    assert step.x.square().sum().item() == pytest.approx(SPREAD**2)


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_tcd_is_ddim_with_gamma_0_and_lcm_with_gamma_1(process):
    levels = sigmas("simple", process, 5)
    draw = Noise([0], (1, 4, 4))
    options = {"process": process, "noise": draw}
    x = process.mix(torch.zeros(1, 1, 4, 4), draw(0), float(levels[0]))

    def end(sampler, **own):
        *_, step = sampler(ideal(process), x, levels, **options, **own)
        return step.x

    assert torch.allclose(end(tcd, gamma=0.0), end(SAMPLERS["ddim"]), atol=1e-5)
    assert torch.allclose(end(tcd, gamma=1.0), end(SAMPLERS["lcm"]), atol=1e-5)


def test_restart_undoes_errors_that_heun_carries_to_the_end():
    # The network errs at the highest level alone; fresh noise at sigma 2 thins the error out.
    process, levels = Eps(), sigmas("karras", Eps(), 30)
    wrong = {}
    for off in (0.0, 4.0):

        def denoise(x, sigma, off=off):
            return ideal(process)(x, sigma) + (off if sigma > 10 else 0.0)

        for name in ("heun", "restart"):
            *_, step = run(
                name,
                denoise,
                POINTS * float(levels[0]),
                levels,
                process=process,
                noise=lambda k: torch.zeros_like(POINTS),
            )
            wrong[name, off] = step.x
    heun, restart = (
        float((wrong[n, 4.0] - wrong[n, 0.0]).abs().max()) for n in ("heun", "restart")
    )
    assert restart < 0.5 * heun


@pytest.mark.parametrize("name", NOISY)
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_drawn_pictures_have_the_mean_and_variance_of_the_data(name, process):
    noise = Noise([0, 1], (4, 64, 64))
    levels = sigmas("karras", process, 60)
    x = process.mix(torch.zeros(2, 4, 64, 64), noise(0), float(levels[0]))
    drawn = last(name, process, x, levels, noise).double()
    count = drawn.numel()
    own = variance(name, process, levels, 120)
    assert abs(float(drawn.mean()) - MEAN) < 4 * SPREAD / count**0.5 + 0.01
    assert abs(float(drawn.var()) / own - 1) < 4 * (2 / count) ** 0.5
    assert own == pytest.approx(SPREAD**2, rel=0.15 if ROWS[name].order == 1 else 0.02)


@pytest.mark.parametrize("name", NOISY)
def test_the_variance_comes_nearer_with_every_doubling_of_the_steps(name):
    for process in (Eps(), Flow()):
        errors = [error(name, process, steps) for steps in (16, 32, 64, 128)]
        assert errors == sorted(errors, reverse=True)
        assert errors[0] > 4 * errors[-1]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_stopped_after_any_step_it_goes_on_as_if_it_had_not(name, process):
    shape, seeds = (2, 3, 5), [0, 9]
    levels = sigmas("normal", process, 7)
    draw = Noise(seeds, shape)
    x = process.mix(torch.zeros(2, *shape), draw(0), float(levels[0]))
    whole = list(run(name, ideal(process), x, levels, process=process, noise=draw))
    assert [step.index for step in whole] == list(range(7))
    for stored in whole:
        start = Step.from_tensors(load(save(stored.tensors())))
        rest = list(
            run(
                name,
                ideal(process),
                torch.full_like(x, math.nan),  # not read
                levels,
                process=process,
                noise=Noise(seeds, shape),
                start=start,
            )
        )
        assert len(rest) == 6 - stored.index
        for step, expected in zip(rest, whole[stored.index + 1 :], strict=True):
            assert step.tensors().keys() == expected.tensors().keys()
            for key, value in step.tensors().items():
                assert torch.equal(value, expected.tensors()[key]), key


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_a_perfect_estimate_is_reached_from_pure_noise_in_any_number_of_steps(name, process):
    clean = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(5))
    draw = Noise([0], (2, 4, 4))
    for steps in (1, 2, 9):
        levels = sigmas("simple", process, steps)
        x = process.mix(clean, draw(0), float(levels[0]))
        *_, step = run(name, lambda x, sigma: clean, x, levels, process=process, noise=draw)
        assert torch.allclose(step.x, clean, atol=2e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_table_tells_the_calls_per_step_and_whether_noise_is_drawn(name):
    process, calls, draws = Eps(), [], []
    levels = even(process, 6)

    def denoise(x, sigma):
        calls.append(sigma)
        return ideal(process)(x, sigma)

    def draw(k):
        draws.append(k)
        return torch.zeros(1, 1, 1, 2)

    list(run(name, denoise, POINTS * 10, levels, process=process, noise=draw))
    if name == "dpm_adaptive":
        assert len(calls) % ROWS[name].calls == 0
    else:
        assert len(calls) == 6 * ROWS[name].calls + EXTRA.get(name, 0)
    assert len(draws) == len(set(draws))
    assert 0 not in draws  # draw 0 is the start
    assert bool(draws) is ROWS[name].draws_noise


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES)
def test_levels_may_end_above_0_and_another_model_go_on_from_there(name, process):
    # A refiner: the first model takes steps 0 ... 3, the second goes on with the same levels.
    shape, draw = (1, 2, 2), Noise([3], (1, 2, 2))
    levels = sigmas("normal", process, 8)
    x = process.mix(torch.zeros(1, *shape), draw(0), float(levels[0]))
    options = {"process": process, "noise": draw}
    whole = list(run(name, ideal(process), x, levels, **options))
    base = run(name, ideal(process), x, levels, **options)
    handed = next(step for step in base if step.index == 3)
    refined = list(run(name, ideal(process), x, levels, start=handed, **options))
    assert torch.equal(refined[-1].x, whole[-1].x)
    assert bool(last(name, process, x, levels[:5], draw).isfinite().all())


@pytest.mark.parametrize("name", SAMPLERS)
def test_gradients_are_not_kept(name):
    process = Eps()
    gain = torch.ones((), requires_grad=True)
    x = POINTS * 10
    taken = run(
        name,
        lambda x, sigma: ideal(process)(x, sigma) * gain,
        x,
        even(process, 4),
        process=process,
        noise=Noise([0], (1, 1, 2)),
    )
    assert not any(step.x.requires_grad or step.x0.requires_grad for step in taken)


def test_for_alpha_1_ddim_with_eta_1_and_euler_ancestral_are_ddpm():
    process, draw = Eps(), Noise([0], (1, 4, 4))
    levels = sigmas("karras", process, 9)
    x = draw(0) * float(levels[0])
    options = {"process": process, "noise": draw}
    *_, one = SAMPLERS["ddpm"](ideal(process), x, levels, **options)
    *_, two = SAMPLERS["ddim"](ideal(process), x, levels, eta=1.0, **options)
    *_, three = SAMPLERS["euler_ancestral"](ideal(process), x, levels, **options)
    assert torch.equal(one.x, two.x)
    assert torch.allclose(one.x, three.x, atol=1e-5)


def test_on_a_flow_dpmpp_2m_errs_less_with_its_own_lambda_than_with_log_sigma():
    assert error("dpmpp_2m", Flow(), 20) < 0.7 * error("dpmpp_2m_sigma", Flow(), 20)
    assert error("dpmpp_2m", Eps(), 20) == error("dpmpp_2m_sigma", Eps(), 20)


def test_a_name_may_be_an_alias_and_an_unknown_one_is_refused_at_once():
    assert sampler_row("Euler a").name == "euler_ancestral"
    with pytest.raises(RequestError, match="unknown sampler"):
        run("eulr", ideal(Eps()), POINTS, even(Eps(), 2), process=Eps(), noise=silent)


def test_a_stored_step_with_other_names_is_refused():
    stored = Step(0, POINTS, POINTS, (POINTS,)).tensors()
    with pytest.raises(RequestError, match=r"holds index, x, x0 and history\.0"):
        Step.from_tensors({**stored, "y": POINTS})
    del stored["x0"]
    with pytest.raises(RequestError, match="holds index"):
        Step.from_tensors(stored)
