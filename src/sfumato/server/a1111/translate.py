"""From what an A1111 client sends to a `Request`: the one place where both vocabularies meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import PictureError, RequestError
from sfumato.limits import SIZE_STEP
from sfumato.recipe import from_parameters
from sfumato.request import Request
from sfumato.server.a1111.errors import RefusedError
from sfumato.server.a1111.payloads import Image2Image, Text2Image
from sfumato.server.a1111.refusals import check, check_settings
from sfumato.server.uploads import opened, unwrapped
from sfumato.source import Source

if TYPE_CHECKING:
    from sfumato.server.a1111.models import Checkpoints
    from sfumato.server.settings import Limits

__all__ = ["Chosen", "request_of", "sampler_and_schedule"]

T = TypeVar("T")

# What A1111 takes where nothing is said; everything else is the model's own.
_SAMPLER, _STRENGTH, _BLUR = "Euler", 0.75, 4
_FITS = ("stretch", "crop", "pad")
_FILLS = ("blur", "original", "noise", "nothing")
# A1111's settings that are numerics, each with the field that it is here, and its values.
_SETTINGS: Mapping[str, str] = {
    "randn_source": "stream",
    "emphasis": "weighting",
    "sgm_noise_multiplier": "first_noise",
    "always_discard_next_to_last_sigma": "discard_penultimate",
    "enable_quantization": "whole_times",
}
_WAYS: Mapping[str, Mapping[str, str | bool | None]] = {
    "randn_source": {"CPU": "cpu", "NV": "nv", "GPU": "nv"},
    "emphasis": {"None": "plain", "Original": "a1111"},
    "sgm_noise_multiplier": {"False": "sigma", "True": "variance"},
    "always_discard_next_to_last_sigma": {"False": None, "True": True},
    "enable_quantization": {"False": False, "True": True},
}
_CLIP_SKIP = "CLIP_stop_at_last_layers"
_FOLLOWED = frozenset({"sd_model_checkpoint", _CLIP_SKIP, *_SETTINGS})


@dataclass(frozen=True)
class Chosen:
    """What is settled outside a request: the models there are, and how much may be asked."""

    checkpoints: Checkpoints
    limits: Limits


def request_of(sent: Text2Image, chosen: Chosen) -> Request:
    """What a client asks for, in our words.

    Raises RefusedError (with its status) or RequestError for what cannot be done, and PictureError
    for a picture that cannot be read.
    """
    text = _from_text(sent.infotext)
    sampler, schedule = _names(sent, text)
    check(sent, sampler)
    settings = dict(sent.override_settings or {})
    check_settings(settings, _FOLLOWED)
    request = Request(
        prompt=_first(sent.prompt, text.prompt),
        negative=_first(sent.negative_prompt, text.negative),
        seed=text.seed if sent.seed is None else (None if sent.seed < 0 else sent.seed),
        steps=sent.steps if sent.steps is not None else text.steps,
        guidance=sent.cfg_scale if sent.cfg_scale is not None else text.guidance,
        distilled=_distilled(sent, text),
        sampler=sampler,
        schedule=schedule,
        shift=text.shift,
        width=sent.width if sent.width is not None else text.width,
        height=sent.height if sent.height is not None else text.height,
        count=_count(sent),
        **_beginning(sent, text),
        like=text.like,
        **_numerics(settings, text),
        clip_skip=_clip_skip(settings, text),
        threshold=text.threshold,
        mimic_scale=text.mimic_scale,
        mimic_quantile=text.mimic_quantile,
        upscale=text.upscale,
        vae=text.vae,
        **_refiner(sent, text, chosen.checkpoints),
        model=_model(settings.get("sd_model_checkpoint") or text.model, chosen.checkpoints),
    )
    return _with_picture(request, sent, chosen.limits) if isinstance(sent, Image2Image) else request


def _distilled(sent: Text2Image, text: Request) -> float | None:
    """Forge's guidance of a distilled model. Its clients send 3.5 for every model: Flux's own."""
    value = sent.distilled_cfg_scale
    return text.distilled if value in (None, 0, 3.5) else value


def _refiner(sent: Text2Image, text: Request, checkpoints: Checkpoints) -> dict[str, Any]:
    """The model that takes over, and when: 0.8 of the way, which is where A1111's page starts."""
    name = text.refiner if sent.refiner_checkpoint is None else sent.refiner_checkpoint
    if name in (None, "", "None"):
        return {}
    at = text.refiner_at if sent.refiner_switch_at is None else sent.refiner_switch_at
    return {"refiner": _model(name, checkpoints), "refiner_at": at}


def sampler_and_schedule(sampler: str, scheduler: str | None) -> tuple[str, str | None]:
    """The canonical names of a sampler and a schedule; None for the model's own schedule.

    A name of A1111 before 1.9 has its schedule behind it ("DPM++ 2M Karras"), which counts where
    no schedule is named. Raises RefusedError with status 400 for a name that nobody knows.
    """
    schedule = None if (scheduler or "automatic").lower() == "automatic" else scheduler
    try:
        head, space, tail = sampler.strip().rpartition(" ")
        if space and not _known(sampler) and _known(head):
            found, suffix = sampler_row(head).name, schedule_row(tail).name
        else:
            found, suffix = sampler_row(sampler).name, None
        return found, suffix if schedule is None else schedule_row(schedule).name
    except RequestError as problem:
        raise RefusedError(str(problem), 400) from problem


def _known(sampler: str) -> bool:
    try:
        sampler_row(sampler)
    except RequestError:
        return False
    return True


def _names(sent: Text2Image, text: Request) -> tuple[str, str | None]:
    sampler = sent.sampler_name or sent.sampler_index or text.sampler or _SAMPLER
    return sampler_and_schedule(sampler, sent.scheduler or text.schedule)


def _from_text(infotext: str | None) -> Request:
    """The request that A1111's text describes; an empty one where there is no text."""
    if not infotext:
        return Request(like="a1111")
    try:
        origin = from_parameters(infotext)
    except PictureError as problem:
        raise RefusedError(f"infotext: {problem}") from problem
    if origin.unread:
        names = ", ".join(sorted(origin.unread))
        raise RefusedError(f"infotext asks for what cannot be done here: {names}; take it out.")
    return origin.request


def _count(sent: Text2Image) -> int:
    for name in ("batch_size", "n_iter"):
        value = _first(getattr(sent, name), 1)
        if value < 1:
            raise RefusedError(f"{name} is {value}, but must be at least 1.")
    return _first(sent.batch_size, 1) * _first(sent.n_iter, 1)


def _beginning(sent: Text2Image, text: Request) -> dict[str, Any]:
    """What the starting noise is made of beside the seed's own; A1111 cuts its size to eights."""
    strength = _first(sent.subseed_strength, text.variation_strength) or None
    seed = text.variation_seed if sent.subseed is None else sent.subseed
    width = _first(sent.seed_resize_from_w, text.seed_width) or 0
    height = _first(sent.seed_resize_from_h, text.seed_height) or 0
    resized = width > 0 and height > 0
    return {
        "variation_seed": None if strength is None or seed is None or seed < 0 else seed,
        "variation_strength": strength,
        "seed_width": width // SIZE_STEP * SIZE_STEP if resized else None,
        "seed_height": height // SIZE_STEP * SIZE_STEP if resized else None,
    }


def _model(asked: object, checkpoints: Checkpoints) -> str:
    if not asked:
        return checkpoints.chosen.name
    return checkpoints.find(str(asked))


def _numerics(settings: Mapping[str, object], text: Request) -> dict[str, Any]:
    """The numerics that A1111's settings change, else those of the text."""
    found: dict[str, Any] = {name: getattr(text, name) for name in _SETTINGS.values()}
    for setting, name in _SETTINGS.items():
        value = settings.get(setting)
        if value is not None:
            ways = _WAYS[setting]
            if str(value) not in ways:
                told = ", ".join(ways)
                raise RefusedError(f"{setting} is {value!r:.60}, but must be one of: {told}.")
            found[name] = ways[str(value)]
    return found


def _clip_skip(settings: Mapping[str, object], text: Request) -> Any:
    """The layer of CLIP; what is none is left to Request to refuse. 0 is A1111's 1."""
    asked = settings.get(_CLIP_SKIP)
    if asked is None:
        return text.clip_skip
    return 1 if asked == 0 else asked


def _with_picture(request: Request, sent: Image2Image, limits: Limits) -> Request:
    if not sent.init_images:
        raise RefusedError("init_images is empty; send the picture to start from.", 404)
    if len(sent.init_images) > 1:
        raise RefusedError(f"init_images has {len(sent.init_images)} pictures; send one at a time.")
    values = _values(request)
    values["image"] = Source.picture(opened(unwrapped(sent.init_images[0], limits), limits)[0])
    values["strength"] = _first(sent.denoising_strength, _STRENGTH)
    values["fit"] = _one_of(_FITS, "resize_mode", _first(sent.resize_mode, 0))
    if sent.mask:
        values |= _mask(sent, limits)
    return Request(**values)  # pyright: ignore[reportArgumentType] - checked by Request


def _mask(sent: Image2Image, limits: Limits) -> dict[str, object]:
    whole = not _first(sent.inpaint_full_res, True)
    given = (sent.mask_blur, sent.mask_blur_x, sent.mask_blur_y)
    blur = next((value for value in given if value is not None), _BLUR)
    if blur != int(blur):
        raise RefusedError(f"mask_blur is {blur:g}, but must be a whole number of pixels.")
    return {
        "mask": Source.mask(opened(unwrapped(sent.mask or "", limits), limits)[0]),
        "mask_blur": int(blur),
        "mask_fill": _one_of(_FILLS, "inpainting_fill", _first(sent.inpainting_fill, 0)),
        "mask_padding": None if whole else _first(sent.inpaint_full_res_padding, 0),
        "mask_invert": bool(sent.inpainting_mask_invert),
    }


def _values(request: Request) -> dict[str, object]:
    return {name: getattr(request, name) for name in request.__dataclass_fields__}


def _one_of(names: tuple[str, ...], field: str, number: int) -> str:
    if not 0 <= number < len(names):
        told = ", ".join(f"{i} ({name})" for i, name in enumerate(names))
        raise RefusedError(f"{field} is {number}, but must be one of: {told}.")
    return names[number]


def _first(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value
