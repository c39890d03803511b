"""Jobs, and what happens to them while they are followed."""

from typing import Literal

from pydantic import Field

from sfumato.limits import MAX_STEPS
from sfumato.server.admission import MAX_PRIORITY
from sfumato.server.schemas.base import MAX_PAGE, MAX_TAGS, PAGE, Asked, Given, Seconds, Tag, Told
from sfumato.server.schemas.pictures import Picture
from sfumato.server.schemas.requests import RequestTold, RequestWanted

__all__ = [
    "Job",
    "JobAccepted",
    "JobTold",
    "JobWanted",
    "JobsQuery",
    "JobsTold",
    "LibraryChange",
    "State",
    "StepSeen",
]

State = Literal["queued", "running", "done", "failed", "cancelled"]


class JobWanted(Given):
    """A request, and how to treat it."""

    request: RequestWanted
    priority: int = Field(
        0,
        description="Higher goes first; among equals the oldest.",
        json_schema_extra={"minimum": -MAX_PRIORITY, "maximum": MAX_PRIORITY},
    )
    previews: int = Field(
        0,
        json_schema_extra={"minimum": 0, "maximum": MAX_STEPS},
        description="Full-size previews for each picture, whatever they cost. With 0 there are "
        "as many as cost at most a twentieth of the time.",
    )
    tags: list[Tag] = Field(
        default=[], max_length=MAX_TAGS, description="What its pictures will be tagged with."
    )


class Job(Told):
    """A job: a request that was accepted, and how far it has come."""

    id: str = Field(examples=["0194f0c2a7e35b1d"])
    state: State
    priority: int
    created: Seconds
    started: Seconds | None
    finished: Seconds | None
    client: str = Field(description="The dialect it came in: native, a1111, openai.")
    position: int = Field(description="Jobs that go before it; 0 when running or over.")
    request: RequestTold
    picture: int = Field(description="Which picture is being painted, from 0.")
    count: int = Field(description="How many pictures it is for.")
    step: int = Field(description="Steps done of that picture.")
    steps: int = Field(description="Steps of each picture; 0 until that is known.")
    seconds_left: float | None = Field(description="Until the job is done; null: not known yet.")
    error: str = Field(description="Why it failed; else empty.")
    remarks: list[str] = Field(
        description="What hinders nothing, and may surprise: words that the model was never shown, "
        "a reader of prompts that its file lacks, a negative prompt beside guidance 1.",
        examples=[['mini was never shown "sextant", and may paint something else.']],
    )
    tags: list[str]
    pictures: list[Picture] = Field(description="The finished ones.")


class JobTold(Told):
    """One job."""

    job: Job


class JobAccepted(Told):
    """A job that is on disk, and will be done whatever happens."""

    job: Job
    joined: bool = Field(description="Whether an equal request was already in flight: it is this.")


class JobsTold(Told):
    """Jobs, the newest first."""

    jobs: list[Job]


class JobsQuery(Asked):
    """Which jobs."""

    state: list[State] = Field(default=[], max_length=5, description="May be given repeatedly.")
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    before: str | None = Field(
        None, max_length=64, description="Only jobs older than the one with this id."
    )


class StepSeen(Told):
    """One step of a running job, as the event `step` tells it."""

    job: str
    picture: int = Field(description="Which picture of the job, from 0.")
    step: int = Field(description="From 1.")
    steps: int
    sigma: float = Field(description="The noise level that the step ended at.")
    seconds_left: float | None
    sketch: str = Field(description="The picture so far, tiny: a data: URL of a PNG.")
    preview: str | None = Field(description="The same at full size, now and then: a data: URL.")


class LibraryChange(Told):
    """A picture was changed, added or removed, as the event `library` tells it."""

    id: str
