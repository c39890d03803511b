"""What a request leaves open, settled by the model that will paint it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from sfumato.checks import side
from sfumato.embedding import Embedding
from sfumato.errors import RequestError
from sfumato.limits import MAX_SIZE, REFINER_AT, SIZE_STEP, STRENGTH, UPSCALER
from sfumato.numerics import like
from sfumato.request import Request

__all__ = ["Defaults", "resolve"]


@dataclass(frozen=True)
class Defaults:
    """How a model wants to be used when the user does not say; every `ModelSpec` carries one.

    `sampler` and `schedule` are canonical names of `diffusion.table`; width and height are pixels.
    `distilled` is None for a model that does not take that strength as an input. `pag_layers` and
    `slg_layers` are None where the network has none that it could be led away from. A side is a
    multiple of `multiple`, and at most `largest`.
    """

    steps: int
    guidance: float
    sampler: str
    schedule: str
    width: int
    height: int
    distilled: float | None = None
    pag_layers: tuple[int, ...] | None = None
    slg_layers: tuple[int, ...] | None = None
    multiple: int = SIZE_STEP
    largest: int = MAX_SIZE


def resolve(
    request: Request,
    defaults: Defaults,
    *,
    model: str,
    draw_seed: Callable[[], int],
    sampler_name: Callable[[str], str],
    schedule_name: Callable[[str], str],
    embeddings: tuple[Embedding, ...] | None = None,
) -> Request:
    """The same wish with nothing left open.

    `model` is the canonical name of the model that will be used; `draw_seed` is called for
    each seed that `seeded` draws. `sampler_name` and `schedule_name` turn any accepted spelling
    into the canonical one and raise `RequestError` with the nearest names for one they do not
    know: `diffusion.table` has them, which lies above this file and is therefore handed in.
    `embeddings` are those that the prompts name.
    """
    width, height = _size(request, defaults)
    guidance = defaults.guidance if request.guidance is None else request.guidance
    _check_heard(request, guidance, defaults, model)
    steps = defaults.steps if request.steps is None else request.steps
    usual = max(STRENGTH, 1 / steps) if request.image is not None else None
    sampler = sampler_name(defaults.sampler if request.sampler is None else request.sampler)
    numerics = like(request.like).under(sampler)
    if request.sigmas is not None:
        numerics["discard_penultimate"] = False
    open_fields = {k: v for k, v in numerics.items() if getattr(request, k) is None}
    later = None if request.refiner is None else REFINER_AT
    larger = None if request.upscale is None else UPSCALER
    return replace(
        request.seeded(draw_seed),
        steps=steps,
        guidance=guidance,
        distilled=defaults.distilled if request.distilled is None else request.distilled,
        pag_layers=_layers(request, defaults, "pag", model),
        slg_layers=_layers(request, defaults, "slg", model),
        sampler=sampler,
        schedule=None if request.sigmas else schedule_name(request.schedule or defaults.schedule),
        width=width,
        height=height,
        embeddings=embeddings if embeddings is not None else request.embeddings or (),
        model=model,
        strength=usual if request.strength is None else request.strength,
        refiner_at=later if request.refiner_at is None else request.refiner_at,
        upscaler=larger if request.upscaler is None else request.upscaler,
        **open_fields,  # pyright: ignore[reportArgumentType] - checked by Request
    )


def _layers(request: Request, defaults: Defaults, kind: str, model: str) -> tuple[int, ...] | None:
    """Of which layers guidance leads away: as given, or the model's usual ones."""
    if not getattr(request, kind):
        return None
    usual, given = (getattr(each, f"{kind}_layers") for each in (defaults, request))
    if usual is None:
        raise RequestError(
            f"{kind} is {getattr(request, kind):g}, and {model} has no layers that it could be led "
            f"away from; leave {kind} out."
        )
    return usual if given is None else given


def _check_heard(request: Request, guidance: float, defaults: Defaults, model: str) -> None:
    """That the model takes the strength it is given, and that what guidance reads is heard."""
    if request.distilled is not None and defaults.distilled is None:
        raise RequestError(
            f"distilled is {request.distilled:g}, and {model} takes no such strength; "
            "leave it out, or say none, and say guidance."
        )
    # Who says 1 is told of it (`negative_unheard`), and not refused: a recipe that says both was
    # made with a model that is used otherwise, or was taken for one, and is followed.
    if request.negative.strip() and request.guidance is None and guidance == 1:
        raise RequestError(
            f"negative has no effect with the guidance 1, which is what {model} likes; "
            "give guidance above 1 (each step then takes twice as long), or no negative."
        )
    if request.threshold != "none" and guidance == 1 and not request.pag and not request.slg:
        raise RequestError(
            "threshold has no effect with guidance 1, which leaves the estimate as it is; "
            "give guidance above 1, or no threshold."
        )


def _size(request: Request, defaults: Defaults) -> tuple[int, int]:
    """Width and height: as given, else the shape of `image` at the model's own area.

    Where only the mask's surroundings are painted, the model's own size suits them best.
    """
    if request.image is None or request.mask_padding is not None:
        width, height = float(defaults.width), float(defaults.height)
    else:
        ratio = request.image.width / request.image.height
        if request.width is not None:
            width, height = float(request.width), request.width / ratio
        elif request.height is not None:
            width, height = request.height * ratio, float(request.height)
        else:
            area = defaults.width * defaults.height
            width, height = (area * ratio) ** 0.5, (area / ratio) ** 0.5
    return (
        _side(request, "width", width, defaults.multiple, defaults.largest),
        _side(request, "height", height, defaults.multiple, defaults.largest),
    )


def _side(request: Request, name: str, wished: float, multiple: int, largest: int) -> int:
    """A side in pixels: as given, if the model can paint it, or the nearest to `wished`."""
    given = getattr(request, name)
    if given is None:
        return min(largest, max(multiple, round(wished / multiple) * multiple))
    return cast("int", side(multiple, largest, multiple)(f"{name}, for this model,", given))
