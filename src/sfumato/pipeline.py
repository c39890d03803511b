"""From a request to a picture, on one page: prompt, noise levels, noise, start, steps.

B batch (one picture), C latent channels, H W latent height and width.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from sfumato.course import draws_of, first_latent, handover, levels, process_of
from sfumato.diffusion import samplers
from sfumato.diffusion.conjunction import Conjunction, conjoined
from sfumato.diffusion.guidance import Guided, Perturbed
from sfumato.diffusion.inpaint import Inpaint
from sfumato.diffusion.process import Process
from sfumato.diffusion.samplers import Denoise, Step
from sfumato.diffusion.switched import Switched
from sfumato.diffusion.table import check_wander
from sfumato.errors import PaintingError
from sfumato.families.base import Conditioning, Family, Ground
from sfumato.guide import Lead, lead_of
from sfumato.hearing import Stage, require_told, stages
from sfumato.images import Canvas, Masking, fault, lay, to_images, to_mask, to_tensor
from sfumato.request import Request
from sfumato.weights.learnt import Learnt

__all__ = ["canvas_of", "finish", "generate"]


@torch.no_grad()
def generate(
    model: Family,
    request: Request,
    canvas: Canvas | None = None,
    learnt: tuple[Learnt, ...] = (),
    *,
    start: Step | None = None,
    refiner: Family | None = None,
) -> Iterator[Step]:
    """The steps of one picture, each yielded as soon as it is made.

    ``request`` is resolved and for one picture; ``canvas`` is its `canvas_of`, ``learnt`` are
    the files of its embeddings; ``start`` is a stored step to go on from, ``refiner`` the model
    that takes over at `Request.refiner_at`. The last step's ``x`` is
    the finished latent: `finish` makes the picture of it. Raises PromptError and RequestError at
    once.
    """
    sampler = request.sampler
    if sampler is None:
        raise AssertionError("a request is resolved before it is run")
    assert request.count == 1, "a run makes its pictures one after the other"
    assert (refiner is None) == (request.refiner is None), "the refiner is that of the request"
    assert (canvas is None) == (request.image is None), "the canvas is that of the request"
    if request.wander:
        check_wander(sampler)

    models = [model] if refiner is None else [model, refiner]
    require_told(models, request)
    process = process_of(model, request)
    sigmas = levels(process, request)
    draws = draws_of(model, request)

    def noise(k: int) -> Tensor:
        return draws(k).to(model.device)

    first = noise(0)
    ground = None if canvas is None else _ground(model, canvas, request.mask_fill, first)
    path = _Path(sigmas, first, ground)
    denoise = _denoiser(model, process, request, path, learnt)
    if refiner is not None:
        other = _denoiser(refiner, process_of(refiner, request), request, path, learnt)
        later = handover(process, request, sigmas)
        denoise = Switched(sigmas, [(0, denoise), (later, other)])
    clean = None if ground is None else ground.start
    x = first_latent(process, request, clean, first, float(sigmas[0]))
    run = samplers.choose(sampler, brownian=request.sde_noise == "brownian")
    return run(denoise, x, sigmas, process=process, noise=noise, start=start)


@dataclass(frozen=True)
class _Path:
    """What every model of a run has before it: its levels (N + 1,), its first draw, its picture."""

    sigmas: Tensor
    first: Tensor  # (1, C, H, W)
    ground: Ground | None


def _denoiser(
    model: Family, process: Process, request: Request, path: _Path, learnt: tuple[Learnt, ...]
) -> Denoise:
    """One model's whole denoiser: its prompts, its guidance, and what holds a mask's surroundings.

    ``process`` is its own `process_of` the request.
    """
    ground, sigmas = path.ground, path.sigmas
    _, channels, height, width = path.first.shape
    told = model.told_of(ground, (channels, height, width))
    lead = lead_of(model, request, sigmas)
    heard = stages(model, request, learnt)
    guided = [(each.step, _guided(model, process, request, each, told, lead)) for each in heard]
    denoise = guided[0][1] if len(guided) == 1 else Switched(sigmas, guided)
    if ground is not None and ground.mask is not None and told is None:
        denoise = Inpaint(denoise, process, ground.latent, path.first, ground.mask)
    return denoise


def _guided(
    model: Family,
    process: Process,
    request: Request,
    stage: Stage,
    told: Tensor | None,
    lead: Lead,
) -> Denoise:
    """The denoiser of one stage, under guidance; ``told`` is `Family.told_of`."""
    strength = None
    if request.distilled is not None:
        strength = torch.tensor([request.distilled], device=model.device)
    parts = [(replace(c, concat=told, guidance=strength), w) for c, w in stage.positives]
    negative = replace(stage.negative, concat=told, guidance=strength)
    worse = [(partial(model.network, spoiling=each.spoiling), each) for each in lead.away]
    if stage.alone is not None:
        positive, join = parts[0][0], Conditioning.join
        away = [Perturbed(network, each.scale, each.interval) for network, each in worse]
        guided = Guided(model.network, process, positive, negative, join, lead.guidance)
        return guided.away_from(*away)
    several, origin = Conjunction(negative, (tuple(parts),)), Conjunction(negative, ((),))
    network, join = conjoined(model.network), Conjunction[Conditioning].join
    away = [Perturbed(conjoined(network), each.scale, each.interval) for network, each in worse]
    return Guided(network, process, several, origin, join, lead.guidance).away_from(*away)


def canvas_of(request: Request) -> Canvas | None:
    """The picture and the mask of a request, laid out for painting; None without a picture.

    Raises RequestError for a mask in which nothing is white, PictureError for mere references.
    """
    if request.image is None:
        return None
    masking = None
    if request.mask is not None:
        masking = Masking(
            request.mask.image(),
            request.mask_blur,
            request.mask_fill,
            request.mask_padding,
            request.mask_invert,
        )
    size = (request.width or 0, request.height or 0)
    return lay(request.image.image(), size, request.fit, masking)


def finish(
    model: Family, canvas: Canvas | None, latent: Tensor, rounding: str | None = None
) -> Image.Image:
    """The picture of a latent (1, C, H, W), laid back on what it was painted upon.

    ``rounding`` is `Request.rounding`. Raises PaintingError where what the decoder gives is none.
    """
    values = model.decode(latent)
    began_flat = canvas is not None and canvas.picture.getcolors(1) is not None
    if wrong := fault(values, flat=began_flat):
        raise PaintingError(wrong)
    (image,) = to_images(values, rounding or "round")
    return image if canvas is None else canvas.back(image)


def _ground(model: Family, canvas: Canvas, fill: str, noise: Tensor) -> Ground:
    """What the networks see of a canvas; ``fill`` is `Request.mask_fill`."""
    picture = to_tensor([canvas.picture]).to(model.device)
    latent = model.encode_picture(picture)
    if canvas.mask is None:
        return Ground(latent, latent)
    pixels = to_mask(canvas.mask).to(model.device)  # (1, 1, height, width)
    # A whole element is painted anew if any of its pixels is, so that none of them is left over.
    mask = torch.nn.functional.max_pool2d(pixels, model.spec.vae.factor) > 0  # (1, 1, H, W)
    start = latent
    if fill == "blur":
        start = model.encode_picture(to_tensor([canvas.start]).to(model.device))
    elif fill != "original":
        start = torch.where(mask, noise if fill == "noise" else torch.zeros_like(noise), latent)
    return Ground(latent, start, mask, picture * (1 - pixels))
