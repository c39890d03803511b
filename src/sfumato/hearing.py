"""What a model hears of a request at each step: its prompts read, with all that changes on the way.

A prompt is written in the language of `text.prompt`; here it meets the number of steps, and the
model's own reader.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from sfumato.errors import PromptError, RequestError
from sfumato.families.base import Conditioning, Family, Framing, Reading
from sfumato.request import Request
from sfumato.text.prompt import Prompt, parse
from sfumato.weights.learnt import Learnt

__all__ = ["Stage", "require_told", "stages", "taken"]

_Texts = tuple[tuple[tuple[str, float], ...], str]  # prompts and their weights, and the negative

# The fields of a request that say what a model is told, by the field of a `Framing`.
FRAMED: Mapping[str, tuple[str, ...]] = {
    "original": ("original_size", "negative_original_size"),
    "crop": ("crop", "negative_crop"),
    "target": ("target_size", "negative_target_size"),
    "liked": ("aesthetic", "negative_aesthetic"),
}
MOST = 32  # prompts joined by AND, each of which is a call of the network at every step


@dataclass(frozen=True)
class Stage:
    """What is heard from a step of the run on, counted from 0, until the next stage.

    ``positives`` are the prompts that AND joins, each with its weight, sorted so that the order in
    which they were written decides nothing. A lone prompt has the weight 1.
    """

    step: int
    positives: tuple[tuple[Conditioning, float], ...]
    negative: Conditioning

    @property
    def alone(self) -> Conditioning | None:
        """The one prompt that is heard as it is; None where several are, or none."""
        if len(self.positives) == 1 and self.positives[0][1] == 1:
            return self.positives[0][0]
        return None


def stages(model: Family, request: Request, learnt: tuple[Learnt, ...] = ()) -> list[Stage]:
    """What the model hears, from the first step of the run on; ``learnt`` are its embeddings.

    Steps in a prompt are those of the whole schedule, of which a run from a picture makes the last.
    Raises PromptError for what is not done here, and for what the model cannot read, RequestError
    for a layer of CLIP that it does not hear.
    """
    _require_deep_enough(model, request.clip_skip)
    size = (request.width or 0, request.height or 0)
    assert request.empty_negative is not None, "a request is resolved before it is run"
    assert request.t5_padding is not None
    reading = Reading(
        request.brackets,
        learnt,
        request.clip_skip,
        request.empty_negative,
        request.t5_padding,
        _framings(request, size),
    )
    heard = _heard(request)
    read = {
        (texts, against): model.encode([text for text, _ in texts], against, size, reading)
        for texts, against in dict.fromkeys(heard)
    }
    return [
        _stage(i, now[0], *read[now])
        for i, now in enumerate(heard)
        if i == 0 or now != heard[i - 1]
    ]


def taken(model: Family, request: Request) -> tuple[str, ...]:
    """What the model takes a request's prompts for where they call that otherwise, each once.

    Raises PromptError like `stages`.
    """
    texts = dict.fromkeys(text for positives, _ in _heard(request) for text, _ in positives)
    names = (model.taken(text, request.brackets) for text in texts)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _heard(request: Request) -> list[_Texts]:
    """The prompts and the negative one at each step of the run."""
    if request.brackets == "plain":
        return [(((request.prompt, 1.0),), request.negative)] * request.run_steps
    prompt, negative = parse(request.prompt), parse(request.negative)
    _require_done_here(prompt, "prompt")
    _require_done_here(negative, "negative prompt")
    _require_lone(negative)
    steps = request.schedule_steps
    return [
        (_gathered(prompt.at(step, steps)), negative.at(step, steps)[0][0])
        for step in range(steps - request.run_steps + 1, steps + 1)
    ]


def require_told(models: Sequence[Family], request: Request) -> None:
    """Refuses what a request would tell of its picture to models of which none is told it."""
    usual = {f.name: f.default for f in fields(request)}
    heard = frozenset[str]().union(*(model.hears for model in models))
    for told, names in FRAMED.items():
        for name in names:
            if told not in heard and getattr(request, name) != usual[name]:
                raise RequestError(
                    f"{name} has no effect: {models[0].spec.title} is told nothing of the kind. "
                    "Leave it out."
                )


def _framings(request: Request, size: tuple[int, int]) -> tuple[Framing, Framing]:
    """What is told beside the prompt, and beside the negative one."""
    own = Framing(
        request.original_size or size,
        request.crop,
        request.target_size or size,
        request.aesthetic,
    )
    against = Framing(
        request.negative_original_size or own.original,
        own.crop if request.negative_crop is None else request.negative_crop,
        request.negative_target_size or own.target,
        request.negative_aesthetic,
    )
    return own, against


def _stage(
    step: int,
    texts: Iterable[tuple[str, float]],
    positives: Iterable[Conditioning],
    negative: Conditioning,
) -> Stage:
    weights = (weight for _, weight in texts)
    return Stage(step, tuple(zip(positives, weights, strict=True)), negative)


def _gathered(branches: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    """Each text once, with the sum of its weights, in the order of the texts; none that weighs 0.

    So `a AND a:0` is `a`, and `b AND a` is `a AND b`, to the bit and at no cost.
    """
    if len(branches) == 1:
        return branches
    weights: dict[str, list[float]] = {}
    for text, weight in branches:
        weights.setdefault(text, []).append(weight)
    sums = ((text, math.fsum(each)) for text, each in sorted(weights.items()))
    gathered = tuple((text, weight) for text, weight in sums if weight != 0)
    if len(gathered) > MOST:
        raise PromptError(
            f"The prompt joins {len(gathered)} with AND, each of which costs as much as a whole "
            f"picture; take {MOST} at the most."
        )
    return gathered


def _require_deep_enough(model: Family, skip: int) -> None:
    if skip <= model.deepest:
        return
    title = model.spec.title
    if model.deepest == 1:
        raise RequestError(
            f"clip_skip is {skip}, but {title} hears its usual layer alone, which is 1; "
            "give that, or leave it out."
        )
    raise RequestError(f"clip_skip is {skip}, but {title} has no more than {model.deepest} layers.")


def _require_done_here(prompt: Prompt, what: str) -> None:
    if prompt.networks:
        raise PromptError(
            f"The {what} names {prompt.networks[0]}, and this version attaches no such network. "
            "Leave it out."
        )


def _require_lone(negative: Prompt) -> None:
    if len(negative.branches) > 1:
        raise PromptError(
            "The negative prompt joins several with AND, and there is only one to lead away from. "
            "Join them with a comma, or give them in the prompt with weights below 0. Write it in "
            "lower case if the word is meant."
        )
