"""The published algorithms, written out from their papers and from k-diffusion, against ours.

As in k-diffusion they work where alpha = 1, in t = -log sigma, one step after the other, with what
they remember in plain variables. `test_parity.py` holds what diffusers has.
"""

import math

import pytest
import torch

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Flow
from sfumato.diffusion.samplers import BROWNIAN, run
from sfumato.diffusion.schedules import sigmas
from tests.diffusion.test_parity import KINDS, SHAPE, close, kinds, network, ours

steps = pytest.mark.parametrize("steps", [1, 2, 3, 4, 17])


def setting(kind, count, schedule="karras"):
    """The process, its levels as floats, denoise(x, sigma), and the noise of step i."""
    process = KINDS[kind][0]()
    levels = sigmas(schedule, process, count)
    noise = Noise([7], SHAPE)
    return process, levels, Denoiser(network, process, None), lambda i: noise(i + 1)


def ancestral(now, after):
    """k-diffusion's get_ancestral_step with eta = 1: how far down, and how much noise after."""
    up = min(after, (after**2 * (now**2 - after**2) / now**2) ** 0.5)
    return (after**2 - up**2) ** 0.5, up


@kinds
@steps
@pytest.mark.parametrize("noisy", [False, True], ids=["dpm2", "dpm2 a"])
def test_dpm2(kind, steps, noisy):
    process, levels, denoise, fresh = setting(kind, steps)
    x, mine = ours("dpm2_ancestral" if noisy else "dpm2", process, levels)
    for i in range(steps):
        now, after = float(levels[i]), float(levels[i + 1])
        down, up = ancestral(now, after) if noisy else (after, 0.0)
        slope = (x - denoise(x, now)) / now
        if down == 0:
            x = x - slope * now
            continue
        middle = math.exp((math.log(now) + math.log(down)) / 2)
        half = x + slope * (middle - now)
        x = x + (half - denoise(half, middle)) / middle * (down - now) + up * fresh(i)
    assert close(mine, x)


@kinds
@steps
def test_dpmpp_2s_ancestral(kind, steps):
    process, levels, denoise, fresh = setting(kind, steps)
    x, mine = ours("dpmpp_2s_ancestral", process, levels)
    for i in range(steps):
        now, after = float(levels[i]), float(levels[i + 1])
        down, up = ancestral(now, after)
        x0 = denoise(x, now)
        if down == 0:
            x = x0
            continue
        h = math.log(now / down)
        half = math.exp(-h / 2) * x - math.expm1(-h / 2) * x0
        x0 = denoise(half, now * math.exp(-h / 2))
        x = math.exp(-h) * x - math.expm1(-h) * x0 + up * fresh(i)
    assert close(mine, x)


@kinds
@steps
@pytest.mark.parametrize("name", ["dpmpp_2m_sde_heun", "dpmpp_3m_sde"])
def test_the_multistep_sde_samplers(kind, steps, name):
    process, levels, denoise, fresh = setting(kind, steps, "exponential")
    x, mine = ours(name, process, levels)
    past, sizes = [], []
    for i in range(steps):
        now, after = float(levels[i]), float(levels[i + 1])
        x0 = denoise(x, now)
        if after == 0:
            x = x0
            break
        h = math.log(now / after)
        x = math.exp(-2 * h) * x - math.expm1(-2 * h) * x0
        phi_2 = math.expm1(-2 * h) / (2 * h) + 1
        if name == "dpmpp_3m_sde" and len(past) >= 2:
            near, far = sizes[-1] / h, sizes[-2] / h
            first, second = (x0 - past[-1]) / near, (past[-1] - past[-2]) / far
            slope = first + (first - second) * near / (near + far)
            bend = (first - second) / (near + far)
            x = x + phi_2 * slope - (phi_2 / (2 * h) - 0.5) * bend
        elif past:
            x = x + phi_2 * (x0 - past[-1]) / (sizes[-1] / h)
        x = x + fresh(i) * after * (-math.expm1(-2 * h)) ** 0.5
        past.append(x0)
        sizes.append(h)
    assert close(mine, x)


@kinds
@steps
def test_ipndm(kind, steps):
    process, levels, denoise, _ = setting(kind, steps)
    x, mine = ours("ipndm", process, levels)
    table = {1: [1], 2: [3 / 2, -1 / 2], 3: [23 / 12, -16 / 12, 5 / 12]}
    table[4] = [55 / 24, -59 / 24, 37 / 24, -9 / 24]
    slopes = []
    for i in range(steps):
        now, after = float(levels[i]), float(levels[i + 1])
        x0 = denoise(x, now)
        slopes = [(x - x0) / now, *slopes][:4]
        mean = sum(w * one for w, one in zip(table[len(slopes)], slopes, strict=True))
        x = x0 if after == 0 else x + (after - now) * mean
    assert close(mine, x)


@kinds
@steps
def test_ipndm_v_is_lms_but_for_a_step_to_0(kind, steps):
    process, levels, _, _ = setting(kind, steps + 1)
    above = levels[:-1]
    assert close(ours("ipndm_v", process, above)[1], ours("lms", process, above)[1])


@kinds
@steps
def test_res_multistep(kind, steps):
    # RES, with c2 = -h_last / h, and phi_1, phi_2 at -h.
    process, levels, denoise, _ = setting(kind, steps)
    x, mine = ours("res_multistep", process, levels)
    last = None
    for i in range(steps):
        now, after = float(levels[i]), float(levels[i + 1])
        x0 = denoise(x, now)
        if after == 0:
            x = x0
        elif last is None:
            x = x0 + (x - x0) * after / now
        else:
            h = math.log(now / after)
            part = math.log(now / float(levels[i - 1])) / h
            phi_1 = math.expm1(-h) / -h
            phi_2 = (phi_1 - 1) / -h
            x = math.exp(-h) * x + h * ((phi_1 - phi_2 / part) * x0 + phi_2 / part * last)
        last = x0
    assert close(mine, x)


def eps_steps(x, denoise, now, after, order, parts=(1 / 3, 2 / 3)):
    """k-diffusion's DPMSolver.dpm_solver_1_step, _2_step and _3_step, from sigma to sigma."""

    def eps(x, sigma):
        return (x - denoise(x, sigma)) / sigma

    h = math.log(now / after)
    first = eps(x, now)
    x1 = x - after * math.expm1(h) * first
    if order == 1:
        return x1
    one = now * math.exp(-parts[0] * h)
    second = eps(x - one * math.expm1(parts[0] * h) * first, one)
    if order == 2:
        return x1 - after / (2 * parts[0]) * math.expm1(h) * (second - first)
    two = now * math.exp(-parts[1] * h)
    bent = math.expm1(parts[1] * h) / (parts[1] * h) - 1
    at_two = x - two * math.expm1(parts[1] * h) * first
    third = eps(at_two - two * (parts[1] / parts[0]) * bent * (second - first), two)
    return x1 - after / parts[1] * (math.expm1(h) / h - 1) * (third - first)


@kinds
@pytest.mark.parametrize("calls", [1, 2, 3, 4, 5, 6, 20])
def test_dpm_fast_on_the_levels_of_k_diffusion(kind, calls):
    process, _, denoise, _ = setting(kind, 1)
    m = calls // 3 + 1
    orders = [3] * (m - 2) + [2, 1] if calls % 3 == 0 else [3] * (m - 1) + [calls % 3]
    high, low = math.log(process.sigma_max), math.log(process.sigma_min)
    ends = [math.exp(high + (low - high) * i / m) for i in range(m + 1)]
    levels = [process.sigma_max]
    for i, order in enumerate(orders):
        h = math.log(ends[i] / ends[i + 1])
        levels += [ends[i] * math.exp(-h * part / order) for part in range(1, order + 1)]
    levels = torch.tensor(levels, dtype=torch.float64)
    x, mine = ours("dpm_fast", process, levels)
    for i, order in enumerate(orders):
        parts = (1 / 3, 2 / 3) if order == 3 else (1 / 2,)
        x = eps_steps(x, denoise, ends[i], ends[i + 1], order, parts)
    assert len(levels) == calls + 1
    assert close(mine, x)


@kinds
def test_dpm_adaptive(kind):
    process, levels, denoise, _ = setting(kind, 10)
    x, mine = ours("dpm_adaptive", process, levels[:-1])
    t, end, h = -math.log(float(levels[0])), -math.log(float(levels[-2])), 0.05
    before, tries = x, 0
    while t < end - 1e-5:
        after = min(end, t + h)
        now, then = math.exp(-t), math.exp(-after)
        low = eps_steps(x, denoise, now, then, 2)
        high = eps_steps(x, denoise, now, then, 3)
        borne = torch.maximum(torch.tensor(0.0078), 0.05 * torch.maximum(low.abs(), before.abs()))
        error = float(torch.linalg.norm((low - high) / borne)) / x.numel() ** 0.5
        change = 1 + math.atan((1 / (error + 1e-8)) ** (1 / 3) - 1)
        if change >= 0.81:
            before, x, t = low, high, after
        h *= change
        tries += 1
    assert tries > 5
    assert close(mine, x)


@kinds
@pytest.mark.parametrize("name", BROWNIAN)
def test_a_brownian_run_is_the_plain_one_fed_with_the_increments_of_its_path(kind, name):
    # What depends on the path is the noise alone: where a step draws once, the two must agree.
    process, levels, denoise, _ = setting(kind, 6)
    zero = torch.zeros(1, *SHAPE)
    x = Noise([7], SHAPE)(0) * float(levels[0])
    plain = list(run(name, denoise, x, levels, process=process, noise=lambda k: zero))
    path = list(BROWNIAN[name](denoise, x, levels, process=process, noise=lambda k: zero))
    assert all(torch.equal(a.x, b.x) for a, b in zip(plain, path, strict=True))


@pytest.mark.parametrize("name", ["dpm2_ancestral", "dpmpp_2s_ancestral"])
def test_ancestral_samplers_on_a_flow_go_down_and_climb_as_is_usual_there(name):
    # ComfyUI's form: down to sigma'^2 / sigma, then scaled for alpha, noise for what is missing.
    process = Flow(2.0)
    levels = sigmas("simple", process, 6)
    levels[0] = 0.98  # ComfyUI takes another middle where lambda has none
    noise, denoise = Noise([7], SHAPE), Denoiser(network, process, None)
    x, mine = ours(name, process, levels)
    for i in range(6):
        now, after = float(levels[i]), float(levels[i + 1])
        x0 = denoise(x, now)
        down = after * (1 + (after / now - 1))
        if after == 0:
            x = x0
            continue
        if name == "dpm2_ancestral":
            middle = math.sqrt(now * down)
        else:
            snr = (math.log((1 - now) / now) + math.log((1 - down) / down)) / 2
            middle = 1 / (math.exp(snr) + 1)
        half = middle / now * x + (1 - middle / now) * x0
        x0 = denoise(half, middle)
        if name == "dpm2_ancestral":
            x = x + (half - x0) / middle * (down - now)
        else:
            x = down / now * x + (1 - down / now) * x0
        keep = (1 - after) / (1 - down)
        x = keep * x + (after**2 - (down * keep) ** 2) ** 0.5 * noise(i + 1)
    assert close(mine, x)
