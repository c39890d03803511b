"""What a request says of guidance, as `diffusion.guidance` takes it."""

from dataclasses import dataclass

from torch import Tensor

from sfumato.diffusion.guidance import Clipped, Guidance, Mimicked, Projected, ZeroStar
from sfumato.errors import RequestError
from sfumato.families.base import Family, Spoiling
from sfumato.request import Request

__all__ = ["Away", "Lead", "away_of", "guidance_of", "lead_of"]


@dataclass(frozen=True)
class Away:
    """One worse network to be led away from: as `diffusion.guidance.Perturbed` takes it."""

    spoiling: Spoiling
    scale: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Lead:
    """Where a request leads: towards its prompt, and away from worse networks."""

    guidance: Guidance
    away: tuple[Away, ...]


def lead_of(model: Family, request: Request, sigmas: Tensor) -> Lead:
    """All that a resolved request says of guidance, at the levels (N + 1,) of its run.

    Raises RequestError for what this model, or so few steps, cannot do.
    """
    return Lead(guidance_of(request, sigmas), tuple(away_of(model, request, sigmas)))


def guidance_of(request: Request, sigmas: Tensor) -> Guidance:
    """The guidance of a resolved request; ``sigmas`` (N + 1,) are the levels of its run.

    Raises RequestError where all of its steps would rest.
    """
    assert request.guidance is not None
    rule = None
    if request.guidance_rule == "apg":
        rule = Projected(request.apg_along, request.apg_longest)
    elif request.guidance_rule == "zero_star":
        rule = ZeroStar(_still_until(request.zero_steps, sigmas))
    threshold = None
    if request.threshold == "mimic":
        threshold = Mimicked(request.mimic_scale, request.mimic_quantile)
    elif request.threshold == "imagen":
        threshold = Clipped(request.imagen_quantile, request.imagen_limit)
    return Guidance(request.guidance, request.rescale, request.interval, rule, threshold)


def _still_until(steps: int, sigmas: Tensor) -> float | None:
    """The level of the last of so many steps that rest; None where none does."""
    most = len(sigmas) - 2
    if steps > most:
        raise RequestError(
            f"zero_steps is {steps}, and of {most + 1} steps at least one must not rest, or noise "
            f"is left; give {most} at the most, or more steps."
        )
    return float(sigmas[steps - 1]) if steps > 0 else None


def away_of(model: Family, request: Request, sigmas: Tensor) -> list[Away]:
    """The worse networks that a resolved request leads away from; ``sigmas`` (N + 1,) as above.

    Raises RequestError for a layer that the model has not, and where none of the steps is meant.
    """
    found: list[Away] = []
    if request.pag:
        found.append(Away(Spoiling(blind=_layers(model, "pag", request.pag_layers)), request.pag))
    if request.slg:
        skipped = _layers(model, "slg", request.slg_layers)
        found.append(Away(Spoiling(skipped=skipped), request.slg, _during(request, sigmas)))
    return found


def _layers(model: Family, kind: str, given: tuple[int, ...] | None) -> frozenset[int]:
    assert given is not None, "a request is resolved before it is run"
    if max(given) >= model.layers:
        raise RequestError(
            f"{kind}_layers has {max(given)}, but {model.spec.title} has {model.layers} layers "
            f"that can be named, 0 to {model.layers - 1}."
        )
    return frozenset(given)


def _during(request: Request, sigmas: Tensor) -> tuple[float, float]:
    """The levels (low, high] of those steps that lie within `slg_during`, both ends left out.

    Of the steps of the whole schedule, as diffusers counts them (pipeline_stable_diffusion_3.py).
    """
    (begin, end), whole = request.slg_during, request.schedule_steps
    first = whole - request.run_steps
    inside = [i for i in range(request.run_steps) if begin * whole < first + i < end * whole]
    if not inside:
        raise RequestError(
            f"slg_during is {begin:g} to {end:g}, and no step that is made lies between those "
            f"parts of {whole} steps; give others, more steps, or no slg."
        )
    return float(sigmas[inside[-1] + 1]), float(sigmas[inside[0]])
