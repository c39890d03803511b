"""The course of a run through the noise: its process, its levels, its draws and its first latent.

Here is where the numerics of a request (`sfumato.numerics`) act, all but the weights of a prompt's
words. C latent channels, H W latent height and width.
"""

from typing import Literal, cast

import torch
from torch import Tensor

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Flow, Process
from sfumato.diffusion.schedules import own, sigmas
from sfumato.diffusion.variation import Beginning
from sfumato.errors import RequestError
from sfumato.families.base import Family
from sfumato.numerics import first_scale
from sfumato.request import Request

__all__ = ["draws_of", "first_latent", "handover", "levels", "process_of"]


TIMES = 1000  # from pure noise to the picture, as networks count
USUAL_SIDE = 1024  # whose levels are those of every size where they are fixed


def process_of(model: Family, request: Request) -> Process:
    """The model's process, shifted as the request says, and heard in whole times if it says so.

    Raises RequestError for a shift where there is none, or where it would move no level.
    """
    size = (USUAL_SIDE, USUAL_SIDE) if request.fixed_shift else (request.width, request.height)
    process = model.process(*(side or 0 for side in size))
    if request.shift is not None:
        process = _shifted(process, request.shift, model.spec.title, request)
    return process.with_whole_times() if request.whole_times else process


def _shifted(process: Process, shift: float, model: str, request: Request) -> Process:
    """The process with this shift in place of its own."""
    if not isinstance(process, Flow):
        raise RequestError(
            f"shift is {shift:g}, and {model} is no flow, whose noise levels could be shifted; "
            "leave it out, or say none."
        )
    name = request.schedule
    assert name is not None, "own levels have no shift"
    one, other = (sigmas(name, Flow(moved), 10) for moved in (shift, 2 * shift))
    if torch.equal(one, other):
        raise RequestError(
            f"shift is {shift:g}, and has no effect with the schedule {name}, whose levels are "
            "as they were published; leave it out, say none, or take another schedule."
        )
    return Flow(shift)


def levels(process: Process, request: Request) -> Tensor:
    """The noise levels of a run, (run_steps + 1,): all, or the last ones from a picture on.

    ``process`` is `process_of` the request.
    """
    name, steps = request.schedule, request.schedule_steps
    if request.sigmas is not None:
        return own(request.sigmas, process)[steps - request.run_steps :]
    assert name is not None
    if request.discard_penultimate:
        planned = sigmas(name, process, steps + 1)
        whole = torch.cat([planned[:-2], planned[-1:]])
    else:
        whole = sigmas(name, process, steps)
    return whole[steps - request.run_steps :]


def handover(process: Process, request: Request, sigmas: Tensor) -> int:
    """The first step of the refiner, whose levels have less than 1 - `refiner_at` of the time left.

    As diffusers' `denoising_end` and `denoising_start` cut (pipeline_stable_diffusion_xl.py), and
    A1111 since 1.8 (modules/sd_samplers_common.py, apply_refiner). ``sigmas`` (N + 1,) are the
    run's. Raises RequestError where one of the models would have no step.
    """
    assert request.refiner_at is not None
    left = round(TIMES * (1 - request.refiner_at))
    times = [process.time(float(sigma)) for sigma in sigmas[:-1]]
    first = next((i for i, time in enumerate(times) if time < left), len(times))
    if first in (0, len(times)):
        idle, advice = ("model", "later") if first == 0 else ("refiner", "earlier")
        only = "alone by --model" if first == 0 else "no refiner"
        raise RequestError(
            f"refiner_at is {request.refiner_at:g}, which leaves none of {len(times)} steps to the "
            f"{idle}; give it {advice}, or {only}."
        )
    return first


def draws_of(model: Family, request: Request) -> Noise:
    """The numbered draws of the request's one picture."""
    assert request.seed is not None
    return Noise(
        [request.seed],
        model.latent_shape(request.width or 0, request.height or 0),
        stream=cast(Literal["cpu", "nv"], request.stream),
        wander=None if request.path_seed is None else [request.path_seed],
        own_steps=request.step_noise == "own",
        beginning=_beginning(model, request),
    )


def _beginning(model: Family, request: Request) -> Beginning:
    """What the first noise is made of beside the seed's own."""
    width, height = request.seed_width, request.seed_height
    shape = None if width is None or height is None else model.latent_shape(width, height)
    if request.variation_strength is None or request.variation_seed is None:
        return Beginning(shape=shape)
    return Beginning([request.variation_seed], request.variation_strength, shape)


def first_latent(
    process: Process, request: Request, clean: Tensor | None, noise: Tensor, sigma: float
) -> Tensor:
    """Where a run begins: ``clean`` (1, C, H, W), if there is one, and noise, at level sigma."""
    assert request.first_noise is not None
    alpha = process.alpha(sigma)
    scale = first_scale(
        request.first_noise, sigma, alpha, sigma_max=process.sigma_max, alone=clean is None
    )
    start = torch.zeros_like(noise) if clean is None else clean
    return alpha * start + scale * noise
