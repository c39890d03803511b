"""How many steps are worth their time: one picture with ever more of them, measured and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from sfumato.choose.axes import Axis
from sfumato.choose.likeness import unlikeness
from sfumato.choose.sheet import Cell, Sheet, plan_sheet
from sfumato.diffusion.table import sampler_row
from sfumato.errors import RequestError
from sfumato.limits import MAX_STEPS
from sfumato.request import Request

if TYPE_CHECKING:
    from PIL.Image import Image

    from sfumato.recipe import Picture

__all__ = [
    "NEAR",
    "RUNGS",
    "SAME",
    "Advice",
    "Ladder",
    "Rung",
    "climb",
    "draw_ladder",
    "plan_ladder",
]

RUNGS = (4, 6, 8, 12, 16, 24, 32, 48)
MOST_RUNGS, MOST_SEEDS = 20, 20
# In `unlikeness`, looked at with the bundled model's pictures side by side, twice as large: at
# 0.002 nobody sees which is which (a JPEG of quality 95 is at 0.0012), at 0.01 a ground is tinted
# or an edge is soft (quality 50: 0.007), at 0.02 an outline lies a pixel further.
SAME, NEAR = 0.002, 0.01
# What to do about it; each door says in its own words how: climb to more steps, look at more
# seeds, take another sampler, or one that draws no noise.
Advice: TypeAlias = Literal["higher", "seeds", "sampler", "calm"]


@dataclass(frozen=True)
class Rung:
    """One number of steps. changes: of each seed, how unlike its picture with the most steps.

    seconds: of one picture, on average.
    """

    steps: int
    seconds: float
    changes: tuple[float, ...]

    @property
    def change(self) -> float:
        """That of the seed that is farthest off."""
        return max(self.changes)


@dataclass(frozen=True)
class Ladder:
    """What was measured, from the fewest steps to the most, and what to make of it.

    recommended: None where nothing can be. settled: whether an eye sees no change from there on.
    reason: what was found. advice: what to do about that, the most promising first.
    """

    rungs: tuple[Rung, ...]
    sampler: str
    recommended: int | None
    settled: bool
    reason: str
    advice: tuple[Advice, ...]

    @property
    def headline(self) -> str:
        """The advice in a few words."""
        if self.recommended is None:
            return "no number of steps can be recommended"
        return f"{self.recommended} steps{'' if self.settled else ', for want of better'}"

    def to_dict(self) -> dict[str, object]:
        """The same as plain JSON."""
        return {
            "sampler": self.sampler,
            "recommended": self.recommended,
            "settled": self.settled,
            "reason": self.reason,
            "advice": list(self.advice),
            "same": SAME,
            "near": NEAR,
            "rungs": [
                {"steps": rung.steps, "seconds": rung.seconds, "changes": list(rung.changes)}
                for rung in self.rungs
            ],
        }


def plan_ladder(
    request: Request, steps: Sequence[int], seeds: int, draw_seed: Callable[[], int]
) -> Sheet:
    """The pictures of a ladder: steps from column to column, seeds from row to row.

    Raises RequestError for fewer than three numbers of steps, or for what no request can have.
    """
    if request.steps is not None:
        raise RequestError("steps are what a ladder finds out; leave them out of the request.")
    if request.count != 1:
        raise RequestError(
            f"count is {request.count}, but a ladder looks at one picture of each seed; take 1."
        )
    if not 3 <= len(set(steps)) <= MOST_RUNGS or list(steps) != sorted(set(steps)):
        told = ", ".join(map(str, steps))
        raise RequestError(
            f"a ladder is {told or 'empty'}, but must be 3 to {MOST_RUNGS} rising numbers of steps."
        )
    wrong = next((n for n in steps if not 1 <= n <= MAX_STEPS), None)
    if wrong is not None:
        raise RequestError(f"a ladder has {wrong} steps, but must be between 1 and {MAX_STEPS}.")
    if not 1 <= seeds <= MOST_SEEDS:
        raise RequestError(f"seeds is {seeds}, but must be between 1 and {MOST_SEEDS}.")
    first = replace(request, count=seeds).seeded(draw_seed)  # with room for all of the seeds
    first = replace(first, count=1)
    axes = [Axis("steps", tuple(steps), tuple(map(str, steps)))]
    if seeds > 1:
        numbers = [(first.seed or 0) + i for i in range(seeds)]
        axes.append(Axis("seed", tuple(numbers), tuple(map(str, numbers))))
    return plan_sheet(first, axes, draw_seed)


def climb(sheet: Sheet, pictures: Mapping[Cell, Picture]) -> Ladder:
    """What the pictures of a ladder, all of them, tell."""
    columns, rows, _ = sheet.shape
    by_place = {cell.place: picture for cell, picture in pictures.items()}
    rungs: list[Rung] = []
    for i in range(columns):
        made = [by_place[i, j, 0] for j in range(rows)]
        last = [by_place[columns - 1, j, 0] for j in range(rows)]
        changes = tuple(
            unlikeness(one.image, most.image) for one, most in zip(made, last, strict=True)
        )
        steps = made[0].recipe.request.steps or 0
        seconds = sum(one.recipe.seconds for one in made) / rows
        rungs.append(Rung(steps, round(seconds, 3), tuple(round(c, 5) for c in changes)))
    sampler = by_place[0, 0, 0].recipe.request.sampler or ""
    return _judged(tuple(rungs), sampler)


def _judged(rungs: tuple[Rung, ...], sampler: str) -> Ladder:
    most = rungs[-1]
    noisy = sampler_row(sampler).draws_noise
    same, near = _first_within(rungs, SAME), _first_within(rungs, NEAR)
    alone: tuple[Advice, ...] = ("seeds",) if len(most.changes) == 1 else ()
    if same is not None:
        reason = (
            f"From {same.steps} steps on no eye sees a change: {_told(same.change)} from "
            f"{most.steps} steps, where {SAME:g} can just be seen."
        )
        fewer = "Fewer were not tried." if same is rungs[0] else ""
        reason = _joined(reason, _saved(same, most), fewer, _seeds(rungs))
        return Ladder(rungs, sampler, same.steps, True, reason, alone)
    if noisy:
        reason = (
            f"{sampler} draws fresh noise in its steps, so with more steps it paints another "
            f"picture, not the same one more finely ({_told(rungs[-2].change)} between "
            f"{rungs[-2].steps} and {most.steps} steps): there is nothing to settle. Choose by eye."
        )
        return Ladder(rungs, sampler, None, False, reason, ("calm",))
    unsettled = (
        f"It has not settled: between {rungs[-2].steps} and {most.steps} steps it still changes by "
        f"{_told(rungs[-2].change)}, where {SAME:g} can just be seen."
    )
    if near is not None:
        tones = f"From {near.steps} steps on only tones and edges do."
        reason = _joined(unsettled, tones, _saved(near, most), _seeds(rungs))
        return Ladder(rungs, sampler, near.steps, False, reason, ("higher", *alone))
    reason = _joined(unsettled, "" if alone else _seeds(rungs))
    return Ladder(rungs, sampler, None, False, reason, ("higher", "sampler"))


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _first_within(rungs: tuple[Rung, ...], limit: float) -> Rung | None:
    """The lowest rung from which on all are within the limit; the top one alone proves nothing."""
    found = None
    for rung in reversed(rungs[:-1]):
        if rung.change > limit:
            break
        found = rung
    return found


def _saved(rung: Rung, most: Rung) -> str:
    times = most.seconds / rung.seconds if rung.seconds > 0 else 0
    return f"{most.steps} take {times:.1f} times as long." if times > 1.05 else ""


def _seeds(rungs: tuple[Rung, ...]) -> str:
    """What the number of seeds is worth, and how much they differ."""
    seeds = len(rungs[0].changes)
    if seeds == 1:
        return "One seed was looked at, and others may need more."
    each = [
        next(
            (r.steps for k, r in enumerate(rungs) if all(x.changes[i] <= SAME for x in rungs[k:])),
            rungs[-1].steps,
        )
        for i in range(seeds)
    ]
    if min(each) == max(each):
        return f"All {seeds} seeds say the same."
    return f"Of {seeds} seeds the first settles at {min(each)} steps and the last at {max(each)}."


def _told(change: float) -> str:
    return f"{change:.4f}" if change < 0.1 else f"{change:.2f}"


def draw_ladder(
    sheet: Sheet, pictures: Mapping[Cell, Picture], ladder: Ladder, advice: str = ""
) -> Image:
    """The pictures of a ladder with the curve of their change below them, and what was found.

    advice: what to do about it, in the words of whoever asks.
    """
    from sfumato.images.curve import Chart, draw_chart

    columns, rows, _ = sheet.shape
    by_place = {cell.place: picture.image for cell, picture in pictures.items()}
    tried = [rung.steps for rung in ladder.rungs]
    marked = None if ladder.recommended is None else tried.index(ladder.recommended)
    request = sheet.base
    return draw_chart(
        Chart(
            pictures=[[by_place[i, j, 0] for i in range(columns)] for j in range(rows)],
            rows=[f"seed {one}" for one in sheet.axes[1].labels] if rows > 1 else (),
            columns=[f"{rung.steps} steps" for rung in ladder.rungs],
            below=[_seconds(rung.seconds) for rung in ladder.rungs],
            curves=[[rung.changes[j] for rung in ladder.rungs] for j in range(rows)],
            limits=((SAME, "just seen"), (NEAR, "tones, edges")),
            marked=marked,
            title=request.prompt.strip(),
            headline=ladder.headline,
            text=_joined(ladder.reason, advice),
            caption=f"{ladder.sampler}, seed {request.seed}"
            + (f" and {rows - 1} more" if rows > 1 else ""),
        )
    )


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
