"""One job, painted: picture by picture, step by step, from wherever it was left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Literal

from sfumato.errors import SfumatoError
from sfumato.recipe import Picture
from sfumato.server.admission import check_limits
from sfumato.server.events import Hub, Stepped
from sfumato.server.home import Home, picture_id
from sfumato.server.jobs import Job, Jobs, Keep
from sfumato.server.pace import Pace, Seldom, Speeds
from sfumato.server.painter import Painter, Run, Step
from sfumato.server.steps import Steps
from sfumato.server.trail import Trail, chosen

if TYPE_CHECKING:
    from sfumato.server.library import Library

__all__ = ["Easel", "Outcome", "Painting"]

Outcome = Literal["done", "skipped", "cancelled", "stopped"]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Easel:
    """What is needed to paint. ``between`` is called after each step: whether to stop there.

    ``added`` is told each picture that is new in the library.

    What is done for those who may come later (the state that a job goes on from after a kill, the
    step that is seen by whoever looks next) is done every so many ``seconds`` at most: where steps
    are quicker than that, it would cost more than it is worth.
    """

    jobs: Jobs
    library: Library
    home: Home
    hub: Hub
    speeds: Speeds
    between: Callable[[Job], bool]
    added: Callable[[str], None]
    seconds: float


class Painting:
    """The painting of one claimed job.

    A picture's id comes from its job and number, and `Library.add` keeps an id once: so whatever
    moment a kill chooses, no picture is lost, and none is there twice.
    """

    def __init__(self, easel: Easel, painter: Painter, job: Job) -> None:
        self._easel, self._painter, self._job = easel, painter, job
        self._steps = Steps(easel.home, job.id)
        self._pace = Pace(easel.speeds)
        self._keeping, self._showing = Seldom(easel.seconds), Seldom(easel.seconds)
        self._told = 0.0  # seconds of painting that are in the database already

    def run(self) -> Outcome:
        """Paints what is missing. Raises whatever the painter, the library or the disk does."""
        for number in range(self._job.painted, self._job.count):
            identity = picture_id(self._job.id, number)
            if self._easel.library.has(identity):  # a kill came between its file and its row
                self._finished(number)
                continue
            outcome = self._picture(number, identity)
            if outcome == "skipped":
                self._finished(number, made=False)
            elif outcome != "done":
                return outcome
        return "done"

    def clear(self) -> None:
        """The job has ended, and its steps are of no more use."""
        self._steps.clear()

    def _picture(self, number: int, identity: str) -> Outcome:
        easel, job = self._easel, self._job
        if easel.jobs.live.cancelling(job.id):
            return "cancelled"
        run, after = self._submit(number)
        check_limits(run.request, easel.jobs.limits)
        trail = Trail(self._steps.folder, number, after)
        self._pace.begin(run.request)
        for step in run:
            if step.upscaling is not None:  # between two tiles it can be stopped, as between steps
                if easel.jobs.live.cancelling(job.id):
                    return "cancelled"
                if easel.between(job):
                    return "stopped"
                continue
            last = step.index == step.total
            self._pace.stepped(last=last)
            if step.index in chosen(step.total):
                trail.add(step.index, step.estimate())
            easel.jobs.live.progressed(job.id, step.index, step.total)
            self._show(number, step)
            if easel.jobs.live.cancelling(job.id):
                return "cancelled"
            if easel.jobs.live.skipping(job.id) and not last:
                return "skipped"
            stopping = not last and easel.between(job)
            if stopping or (not last and self._keeping.due()):
                trail.keep()
                self._steps.save(number, step.index, step.state())
            if stopping:
                return "stopped"
            self._pace.resume()
        (picture,) = run.result().pictures
        # The trail first: a picture that is in the library has all that belongs to it.
        named = replace(run.request, model=job.request.model, refiner=job.request.refiner)
        trail.finish(easel.home.trail(identity), named)
        finished = Picture(picture.image, replace(picture.recipe, index=number))
        with easel.library.adding(finished, id=identity, job=job.id, number=number) as keep:
            self._finished(number, keep=keep)
        easel.added(identity)
        return "done"

    def _submit(self, number: int) -> tuple[Run, int]:
        """The run of a picture, and the step after which it goes on."""
        request = self._easel.jobs.inputs.fill(self._job.request.single(number))
        kept = self._steps.load(number)
        if kept is not None:
            step, state = kept
            try:
                return self._painter.submit(request, state=state), step
            except SfumatoError as error:  # of another version; or the request cannot be done
                _LOG.warning("job %s is painted anew: %s", self._job.id, error)
        return self._painter.submit(request), 0

    def _finished(self, number: int, *, made: bool = True, keep: Keep | None = None) -> None:
        """The picture is kept, or given up, and the job knows it, and who follows it."""
        jobs, pace = self._easel.jobs, self._pace
        seconds, self._told = pace.painting - self._told, pace.painting
        last = number + 1 == self._job.count
        if made:
            self._job = jobs.painted(self._job.id, number, seconds, last=last, keep=keep)
        else:
            self._job = jobs.passed(self._job.id, number, seconds, last=last)

    def _show(self, number: int, step: Step) -> None:
        """Tells of a step: each to those who look, and else one now and then, for who comes."""
        preview = None
        if self._wants_preview(step):
            begun = perf_counter()
            (preview,) = step.preview()
            self._pace.previewed(perf_counter() - begun)
        elif not (self._showing.due() or self._easel.hub.watched(self._job.id)):
            return
        more = self._job.count - number - 1
        stepped = Stepped(
            job=self._job.id,
            picture=number,
            step=step.index,
            steps=step.total,
            sigma=step.sigma,
            seconds_left=self._pace.seconds_left(step.total - step.index, more, step.total),
            sketch=step.sketch(),
            preview=preview,
        )
        self._easel.hub.publish(stepped)

    def _wants_preview(self, step: Step) -> bool:
        """Those asked for are made; others only for somebody who looks, and while they are cheap.

        After the last step the picture itself is there to be looked at.
        """
        if step.index == step.total:
            return False
        asked = self._job.previews
        if step.index in {round(k * step.total / (asked + 1)) for k in range(1, asked + 1)}:
            return True
        return self._easel.hub.watched(self._job.id) and self._pace.affords_preview()
