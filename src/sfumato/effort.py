"""How much work a request is: how often the network is called for it, told without a model."""

from sfumato.diffusion.table import sampler_row
from sfumato.request import Request
from sfumato.text.prompt import parse

__all__ = ["calls_a_step"]


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


def _joined(request: Request) -> int:
    """How many prompts are heard at once, where that is most."""
    if request.brackets == "plain":
        return 1
    prompt, steps = parse(request.prompt), request.run_steps
    return max(len(prompt.at(step, steps)) for step in prompt.changes(steps))
