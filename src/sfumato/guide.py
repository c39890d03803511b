"""What a request says of guidance, as `diffusion.guidance` takes it."""

from torch import Tensor

from sfumato.diffusion.guidance import Guidance, Projected, ZeroStar
from sfumato.request import Request

__all__ = ["guidance_of"]


def guidance_of(request: Request, sigmas: Tensor) -> Guidance:
    """The guidance of a resolved request; ``sigmas`` (N + 1,) are the levels of its run."""
    assert request.guidance is not None
    rule = None
    if request.guidance_rule == "apg":
        rule = Projected(request.apg_along, request.apg_longest)
    elif request.guidance_rule == "zero_star":
        last = min(request.zero_steps, len(sigmas) - 1) - 1
        rule = ZeroStar(float(sigmas[last]) if last >= 0 else None)
    return Guidance(request.guidance, request.rescale, request.interval, rule)
