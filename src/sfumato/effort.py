"""How much work a request is: what the network is called for, and how often; needs no model."""

from sfumato.diffusion.table import sampler_row
from sfumato.request import Request
from sfumato.text.prompt import parse

__all__ = ["calls_a_step", "negative_unheard"]


def calls_a_step(request: Request) -> int:
    """How many pictures go through the network in a step of a request whose sampler is known.

    The sampler's own calls (`SamplerRow.calls`), each for the prompt, the negative prompt, and
    every worse network that is led away from; of prompts joined by AND, each, and the origin that
    they are measured from. Where guidance acts between two levels alone, its steps are meant.
    """
    assert request.sampler is not None, "a request is resolved before its work is told"
    worse = (request.pag > 0) + (request.slg > 0)
    joined = _joined(request)
    if joined > 1:
        pictures = (1 + joined) * (1 + worse)
    else:
        pictures = 1 + (request.guidance != 1) + worse
    return sampler_row(request.sampler).calls * pictures


def negative_unheard(request: Request) -> bool:
    """Whether a request has a negative prompt that no step asks the network about.

    With guidance 1 none does, but for prompts joined by AND, which are measured from it.
    """
    return bool(request.negative.strip()) and request.guidance == 1 and _joined(request) == 1


def _joined(request: Request) -> int:
    """How many prompts are heard at once."""
    return 1 if request.brackets == "plain" else len(parse(request.prompt).branches)
