"""`sfumato steps`: how many steps are worth their time, by a ladder of pictures and its curve."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfumato.choose.ladder import (
    NEAR,
    SAME,
    Advice,
    Ladder,
    climb,
    draw_ladder,
    plan_ladder,
)
from sfumato.choose.sheet import Sheet
from sfumato.cli.machine import MakeEngine
from sfumato.cli.paths import slug
from sfumato.cli.screen import columns, duration, say
from sfumato.cli.sheet import fill, prepare
from sfumato.cli.taking import Order
from sfumato.cli.wish import check_origin, painted_with, wish
from sfumato.errors import RequestError
from sfumato.images import Texts, save
from sfumato.recipe import FORMAT, Picture, read
from sfumato.request import Request

__all__ = ["rungs", "steps"]

_SEED_BITS = 32
# How the advice of a ladder is followed here.
_ADVICE: Mapping[Advice, str] = {
    "higher": "Climb higher with --ladder.",
    "seeds": "Look at three of them with --seeds 3.",
    "sampler": "Or take another --sampler.",
    "calm": "Or take a --sampler that draws no noise (sfumato samplers).",
}


def rungs(typed: str) -> list[int]:
    """The numbers of steps of "4,8,16". Raises RequestError."""
    try:
        return [int(one) for one in typed.split(",")]
    except ValueError as error:
        raise RequestError(f"--ladder is {typed!r:.60}, but must be like 4,8,16,32.") from error


def steps(order: Order, tried: Sequence[int], seeds: int, make_engine: MakeEngine) -> None:
    """Climb the ladder, draw it, and say which number of steps is worth its time."""
    origin = None if order.source is None else read(order.source)
    if origin is not None:
        check_origin(order, origin)
    request = painted_with(order, origin, wish(order, origin))
    if order.changes.get("steps") is not None:
        raise RequestError("--steps are what a ladder finds out; give those to try as --ladder.")
    if request.count != 1:
        raise RequestError(f"--count is {request.count}, but a ladder has one; take --seeds.")
    request = replace(request, steps=None)  # those of the picture in --from are in question

    def planned(one: Request) -> Sheet:
        return plan_ladder(one, tried, seeds, lambda: secrets.randbits(_SEED_BITS))

    work = prepare(order, origin, request, planned, f"{slug(request.prompt)}-ladder")
    fill(work, make_engine, f"{len(tried)} numbers of steps, {seeds} seeds")
    pictures = {cell: Picture(image, work.recipes[cell]) for cell, image in work.pictures.items()}
    ladder = climb(work.sheet, pictures)
    told = {"format": FORMAT, "sheet": {**work.sheet.to_dict(), "ladder": ladder.to_dict()}}
    place = work.folder / "ladder.png"
    advice = " ".join(_ADVICE[each] for each in ladder.advice)
    drawn = draw_ladder(work.sheet, pictures, ladder, advice)
    save(drawn, place, Texts(sfumato=json.dumps(told)))
    if order.quiet:
        say(str(place))
        return
    say()
    columns(
        [_row(ladder, i) for i in range(len(ladder.rungs))],
        head=("steps", "a picture", "change", ""),
    )
    say()
    say(f"{ladder.headline}: {ladder.reason}{advice and ' '}{advice}")
    say(f"{place}")


def _row(ladder: Ladder, i: int) -> tuple[str, str, str, str]:
    rung = ladder.rungs[i]
    if i == len(ladder.rungs) - 1:
        return str(rung.steps), duration(rung.seconds), "-", "what the others are compared with"
    means = "other details, or shapes"
    if rung.change <= SAME:
        means = "the same to the eye"
    elif rung.change <= NEAR:
        means = "other tones and edges"
    mark = "  <" if rung.steps == ladder.recommended else ""
    return str(rung.steps), duration(rung.seconds), f"{rung.change:.4f}", f"{means}{mark}"
