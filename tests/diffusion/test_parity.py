"""The same network, levels and noise through diffusers' schedulers and ours: the same pictures.

diffusers works in float32 and, for DDIM, DDPM, DPM-Solver and UniPC, in coordinates divided by
sqrt(1 + sigma^2). Each scheduler is given our levels and times after `set_timesteps`, because its
own spacings differ on purpose; see `sfumato.diffusion.schedules` for those.
"""

import math

import diffusers
import pytest
import torch

from sfumato.diffusion.denoiser import Denoiser
from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow, V
from sfumato.diffusion.samplers import SAMPLERS, run
from sfumato.diffusion.schedules import sigmas

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning"),
]

SHAPE = (3, 6, 5)
TOLERANCE = 1e-5  # of the picture's largest value
STABLE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KINDS = {"eps": (Eps, "epsilon"), "v": (V, "v_prediction")}
kinds = pytest.mark.parametrize("kind", KINDS)
counts = pytest.mark.parametrize("steps", [1, 2, 5, 30])


def network(x, time, conditioning=None):
    """Smooth and nonlinear in x and in time, and different in each channel."""
    time = torch.as_tensor(time).view(-1, 1, 1, 1) / 1000
    channel = torch.tensor([0.8, 1.0, 1.3]).view(1, 3, 1, 1)
    return torch.tanh(x * channel + 0.3 * torch.cos(3 * time)) * (0.6 + 0.4 * torch.sin(2 * time))


def close(mine, theirs):
    return float((mine - theirs).abs().max()) <= TOLERANCE * float(theirs.abs().max())


def generator_after_the_start(seed: int) -> torch.Generator:
    """As a diffusers pipeline has it: the first latent is drawn, the steps' noise comes next."""
    generator = torch.Generator().manual_seed(seed)
    torch.randn(1, *SHAPE, generator=generator)
    return generator


def ours(name, process, levels):
    noise = Noise([7], SHAPE)
    x = process.mix(torch.zeros(1, *SHAPE), noise(0), float(levels[0]))
    denoise = Denoiser(network, process, None)
    *_, step = run(name, denoise, x, levels, process=process, noise=noise)
    return x, step.x


def theirs_on(scheduler, x, times, generator=None):
    """A run of a scheduler, with our times for the network."""
    options = {} if generator is None else {"generator": generator}
    scheduler.set_begin_index(0)
    for time, label in zip(times, scheduler.timesteps, strict=True):
        output = network(scheduler.scale_model_input(x, label), time)
        x = scheduler.step(output, label, x, **options).prev_sample
    return x


def given(scheduler, process, levels):
    """The scheduler with our levels, and the network's time at each."""
    times = [process.time(float(sigma)) for sigma in levels[:-1]]
    scheduler.set_timesteps(len(times))
    scheduler.sigmas = levels.clone()
    scheduler.timesteps = torch.tensor(times, dtype=torch.float64)
    return times


@kinds
@counts
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("euler", "EulerDiscreteScheduler"),
        ("euler_ancestral", "EulerAncestralDiscreteScheduler"),
        ("lms", "LMSDiscreteScheduler"),
    ],
)
def test_samplers_in_the_same_coordinates(name, theirs, kind, steps):
    make, prediction = KINDS[kind]
    scheduler = getattr(diffusers, theirs)(**STABLE, prediction_type=prediction)
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("karras", process, steps)
    times = given(scheduler, process, levels)
    x, mine = ours(name, process, levels)
    generator = None if name == "lms" else generator_after_the_start(7)
    assert close(mine, theirs_on(scheduler, x, times, generator))


@kinds
@counts
def test_heun(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.HeunDiscreteScheduler(**STABLE, prediction_type=prediction)
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("exponential", process, steps)
    times = given(scheduler, process, levels)
    # It lists each level twice, once for each of the two calls; a step to 0 has one call.
    middle = [value for value in levels[1:-1].tolist() for _ in (0, 1)]
    scheduler.sigmas = torch.tensor([float(levels[0]), *middle, 0.0])
    times = [times[0], *(time for time in times[1:] for _ in (0, 1))]
    scheduler.timesteps = torch.tensor(times)
    x, mine = ours("heun", process, levels)
    assert close(mine, theirs_on(scheduler, x, times))


@kinds
@counts
@pytest.mark.parametrize(
    ("name", "theirs", "options"),
    [
        ("dpmpp_2m", "DPMSolverMultistepScheduler", {}),
        ("dpmpp_2m_sde", "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("unipc", "UniPCMultistepScheduler", {"solver_order": 2}),
    ],
)
def test_multistep_samplers_in_scaled_coordinates(name, theirs, options, kind, steps):
    make, prediction = KINDS[kind]
    scheduler = getattr(diffusers, theirs)(**STABLE, prediction_type=prediction, **options)
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("karras", process, steps)
    times = given(scheduler, process, levels)
    x, mine = ours(name, process, levels)
    generator = generator_after_the_start(7) if name == "dpmpp_2m_sde" else None
    scaled = process.model_input(x, float(levels[0]))
    assert close(mine, theirs_on(scheduler, scaled, times, generator))


@kinds
@pytest.mark.parametrize("order", [1, 3])
def test_unipc_of_other_orders(kind, order):
    make, prediction = KINDS[kind]
    scheduler = diffusers.UniPCMultistepScheduler(
        **STABLE, prediction_type=prediction, solver_order=order
    )
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("exponential", process, 12)
    times = given(scheduler, process, levels)
    x = Noise([7], SHAPE)(0) * float(levels[0])
    denoise = Denoiser(network, process, None)
    *_, step = SAMPLERS["unipc"](
        denoise, x, levels, process=process, noise=Noise([7], SHAPE), order=order
    )
    scaled = process.model_input(x, float(levels[0]))
    assert close(step.x, theirs_on(scheduler, scaled, times))


@kinds
@counts
def test_deis(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.DEISMultistepScheduler(
        **STABLE, prediction_type=prediction, solver_order=3, lower_order_final=False
    )
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("karras", process, steps)
    levels[-1] = levels[-2] / 2  # theirs has no answer at log 0, ours takes the estimate
    times = given(scheduler, process, levels)
    x, mine = ours("deis", process, levels)
    scaled, end = process.model_input(x, float(levels[0])), float(levels[-1])
    assert close(process.model_input(mine, end), theirs_on(scheduler, scaled, times))


@kinds
@counts
def test_unipc_bh1(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.UniPCMultistepScheduler(
        **STABLE, prediction_type=prediction, solver_order=3, solver_type="bh1"
    )
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("karras", process, steps)
    levels[-1] = levels[-2] / 2  # theirs multiplies 0 by h = inf there
    times = given(scheduler, process, levels)
    x, mine = ours("unipc_bh1", process, levels)
    scaled = process.model_input(x, float(levels[0]))
    end = float(levels[-1])
    assert close(process.model_input(mine, end), theirs_on(scheduler, scaled, times))


@kinds
@counts
def test_lcm(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.LCMScheduler(
        **STABLE, prediction_type=prediction, clip_sample=False, timestep_scaling=1e9
    )  # without the skip connection, which ours leaves out
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    process = make(scheduler.alphas_cumprod)
    times = [999 - 33 * i for i in range(steps)]
    levels = torch.tensor([*(process.sigma_at(time) for time in times), 0.0])
    scheduler.set_timesteps(timesteps=times)
    x, mine = ours("lcm", process, levels)
    scaled = process.model_input(x, float(levels[0]))
    generator = generator_after_the_start(7)
    for time in scheduler.timesteps:
        scaled = scheduler.step(network(scaled, time), time, scaled, generator=generator)[0]
    assert close(mine, scaled)


@kinds
@counts
def test_tcd(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.TCDScheduler(**STABLE, prediction_type=prediction)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    process = make(scheduler.alphas_cumprod)
    times = [990 - 30 * i for i in range(steps)]  # 0.7 of each is a whole number
    levels = torch.tensor([*(process.sigma_at(time) for time in times), process.sigma_min])
    scheduler.set_timesteps(timesteps=times)  # their end is time 0, not noise 0
    x, mine = ours("tcd", process, levels)
    scaled = process.model_input(x, float(levels[0]))
    generator = generator_after_the_start(7)
    for time in scheduler.timesteps:
        scaled = scheduler.step(network(scaled, time), time, scaled, eta=0.3, generator=generator)[
            0
        ]
    # At the end they draw no noise; ours, for a level that is not 0, goes to time 0 too: none.
    assert close(process.model_input(mine, process.sigma_min), scaled)


@pytest.mark.parametrize("steps", [2, 5, 25])
def test_plms(steps):
    # For v models diffusers weighs the velocities; CompVis and we the noises, which are no line in
    # them across levels.
    scheduler = diffusers.PNDMScheduler(
        **STABLE, skip_prk_steps=True, steps_offset=1, set_alpha_to_one=True
    )
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    process = Eps(scheduler.alphas_cumprod)
    levels = sigmas("ddim_uniform", process, steps)
    scheduler.set_timesteps(steps)
    x, mine = ours("plms", process, levels)
    scaled = process.model_input(x, float(levels[0]))
    for time in scheduler.timesteps:
        scaled = scheduler.step(network(scaled, time), time, scaled).prev_sample
    assert close(mine, scaled)


@kinds
@counts
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(kind, steps, eta):
    make, prediction = KINDS[kind]
    scheduler = diffusers.DDIMScheduler(
        **STABLE, prediction_type=prediction, clip_sample=False, steps_offset=1
    )
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("ddim_uniform", process, steps)
    scheduler.set_timesteps(steps)
    noise = Noise([7], SHAPE)
    x = noise(0) * float(levels[0])
    denoise = Denoiser(network, process, None)
    *_, step = SAMPLERS["ddim"](denoise, x, levels, process=process, noise=noise, eta=eta)

    # Their previous time is the present one less 1000 // steps, ours the next of the schedule:
    # the same, but for the last step, where both go to 0.
    scaled, generator = process.model_input(x, float(levels[0])), generator_after_the_start(7)
    for time in scheduler.timesteps:
        output = network(scaled, time)
        # diffusers computes the last fresh noise as sqrt(0), so eta may stay.
        scaled = scheduler.step(output, time, scaled, eta=eta, generator=generator).prev_sample
    assert close(step.x, scaled)


@kinds
@counts
def test_ddpm(kind, steps):
    make, prediction = KINDS[kind]
    scheduler = diffusers.DDPMScheduler(
        **STABLE, prediction_type=prediction, clip_sample=False, steps_offset=1
    )
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    process = make(scheduler.alphas_cumprod)
    levels = sigmas("ddim_uniform", process, steps)
    scheduler.set_timesteps(timesteps=[int(process.time(float(s)) + 0.5) for s in levels[:-1]])
    x, mine = ours("ddpm", process, levels)
    scaled, generator = process.model_input(x, float(levels[0])), generator_after_the_start(7)
    for time in scheduler.timesteps:
        output = network(scaled, time)
        scaled = scheduler.step(output, time, scaled, generator=generator).prev_sample
    assert close(mine, scaled)


@counts
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_euler_on_a_flow(steps, shift):
    process = Flow(shift)
    levels = sigmas("normal", process, steps)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
    scheduler.set_timesteps(steps)
    x, theirs = ours("euler", process, levels)
    for time, sigma in zip(scheduler.timesteps, levels, strict=False):
        output = network(x, process.time(float(sigma)))
        x = scheduler.step(output, time, x).prev_sample
    assert close(theirs, x)


@counts
def test_heun_on_a_flow(steps):
    process = Flow(3.0)
    scheduler = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    levels = sigmas("normal", process, steps)
    scheduler.set_timesteps(steps)
    x, mine = ours("heun", process, levels)
    middle = [value for value in levels[1:-1].tolist() for _ in (0, 1)]
    scheduler.sigmas = torch.tensor([float(levels[0]), *middle, 0.0])
    scheduler.timesteps = 1000 * scheduler.sigmas[:-1]
    for time in scheduler.timesteps:
        x = scheduler.step(network(x, time), time, x).prev_sample
    assert close(mine, x)


@counts
@pytest.mark.parametrize(
    ("name", "theirs", "options", "top"),
    [
        ("dpmpp_2m", "DPMSolverMultistepScheduler", {}, 1.0),
        (
            "dpmpp_2m_sde",
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver++"},
            1.0,
        ),
        # Its corrector divides inf by inf where alpha is 0, hence a start just below pure noise.
        ("unipc", "UniPCMultistepScheduler", {"solver_order": 2}, 0.98),
    ],
)
def test_multistep_samplers_on_a_flow(name, theirs, options, top, steps):
    process = Flow(2.0)
    levels = sigmas("normal", process, steps)
    levels[0] = top
    scheduler = getattr(diffusers, theirs)(
        prediction_type="flow_prediction", use_flow_sigmas=True, **options
    )
    times = given(scheduler, process, levels)
    x, mine = ours(name, process, levels)
    generator = generator_after_the_start(7) if name == "dpmpp_2m_sde" else None
    assert close(mine, theirs_on(scheduler, x, times, generator))


@counts
def test_euler_ancestral_on_a_flow(steps):
    process = Flow(2.0)
    levels = sigmas("simple", process, steps)
    scheduler = diffusers.LTXEulerAncestralRFScheduler(eta=1.0)
    scheduler.set_timesteps(sigmas=levels.float())
    x, mine = ours("euler_ancestral", process, levels)
    generator = generator_after_the_start(7)
    for time, sigma in zip(scheduler.timesteps, levels[:-1], strict=False):
        output = network(x, process.time(float(sigma)))
        x = scheduler.step(output, time, x, generator=generator).prev_sample
    assert close(mine, x)


@kinds
def test_dpmpp_sde_is_the_published_algorithm_of_k_diffusion(kind):
    # diffusers' DPMSolverSDEScheduler needs a package for Brownian trees, so the algorithm of
    # k-diffusion is written out here, with t = -log sigma and a step down and up again. Its noise
    # over a step is a path over sigma, of which draws 2i + 1 and 2i + 2 are the two parts.
    process = KINDS[kind][0]()
    levels = sigmas("karras", process, 12)
    x, mine = ours("dpmpp_sde", process, levels)
    noise, denoise = Noise([7], SHAPE), Denoiser(network, process, None)

    def stepped(x, estimate, now, after, unit):
        up = min(after, (after**2 * (now**2 - after**2) / now**2) ** 0.5)
        down = (after**2 - up**2) ** 0.5
        return down / now * x - math.expm1(math.log(down / now)) * estimate + unit * up

    for i in range(11):
        now, after = float(levels[i]), float(levels[i + 1])
        middle = math.exp((math.log(now) + math.log(after)) / 2)
        early = noise(2 * i + 1) * (now - middle) ** 0.5
        late = noise(2 * i + 2) * (middle - after) ** 0.5
        half = stepped(x, denoise(x, now), now, middle, early / (now - middle) ** 0.5)
        path = (early + late) / (now - after) ** 0.5
        x = stepped(x, denoise(half, middle), now, after, path)
    assert close(mine, denoise(x, float(levels[11])))
