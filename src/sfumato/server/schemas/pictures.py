"""Pictures of the library: what is told of them, how they are looked for, and what differs."""

from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue

from sfumato.server.schemas.base import (
    DIGITS,
    MAX_PAGE,
    MAX_TAG,
    MAX_TAGS,
    PAGE,
    Asked,
    Given,
    Seconds,
    Tag,
    Told,
)
from sfumato.server.schemas.requests import RequestTold

__all__ = [
    "Deleted",
    "Differences",
    "Picture",
    "PictureChange",
    "PictureDetail",
    "PicturePage",
    "PictureQuery",
    "PictureUrls",
    "RecipeTold",
]


class PictureUrls(Told):
    """Where the picture's files are; they never change, so they may be cached for ever."""

    file: str = Field(examples=["/api/pictures/0194f0c2a7e3-0/file"])
    thumb: str = Field(examples=["/api/pictures/0194f0c2a7e3-0/thumb"])


class Picture(Told):
    """A picture of the library. What an imported picture does not say is null, or empty."""

    id: str = Field(examples=["0194f0c2a7e3-0"])
    job: str | None = Field(description="The job that made it; null for an imported picture.")
    number: int = Field(description="Which picture of its job, from 0.")
    created: Seconds
    width: int
    height: int
    prompt: str
    negative: str
    seed: str | None = Field(pattern=DIGITS)
    model: str
    sampler: str
    schedule: str
    steps: int | None
    guidance: float | None
    source: str = Field(description="What made it: sfumato, a1111, comfyui ...")
    favourite: bool
    tags: list[str]
    trashed: Seconds | None
    urls: PictureUrls
    frames: int = Field(description="How many of its steps can be looked at; 0: none are kept.")


class RecipeTold(Told):
    """All that decides a picture's pixels, and who made it where."""

    request: RequestTold
    family: str
    title: str
    sha256: str = Field(description="Of the model's weights.")
    parts: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="The sha256 of each part that lay in a file of its own, by the part's name.",
    )
    sampler_title: str
    schedule_title: str
    device: str
    precision: str
    sfumato: str
    torch: str
    numerics: int
    index: int
    seconds: float
    upscaler_sha256: str = Field("", description="Of the upscaler's weights, where there is one.")


class PictureDetail(Picture):
    """A picture with all that is known of its making."""

    recipe: RecipeTold | None = Field(description="Null for what sfumato did not make.")
    parameters: str = Field(description="The same in the words of A1111.")


class PicturePage(Told):
    """One page of the pictures found, the newest first."""

    pictures: list[Picture]
    cursor: str | None = Field(description="Give it back for the next page; null on the last.")
    total: int = Field(description="How many there are on all pages.")


class PictureQuery(Asked):
    """Which pictures; all conditions hold together."""

    q: str = Field("", max_length=1000, description="Words of the prompts.")
    seed: Annotated[str, Field(pattern=DIGITS)] | None = Field(None, description="Just this seed.")
    model: str | None = Field(None, max_length=255)
    sampler: str | None = Field(None, max_length=255)
    source: str | None = Field(None, max_length=32, description="sfumato, a1111, comfyui ...")
    after: float | None = Field(None, description="Made at or after; seconds since 1970.")
    before: float | None = Field(None, description="Made before; seconds since 1970.")
    favourite: bool | None = None
    tag: str | None = Field(None, max_length=MAX_TAG)
    trash: bool = Field(False, description="Look in the trash instead.")
    limit: int = Field(PAGE, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, max_length=1000, description="That of the page before.")


class PictureChange(Given):
    """What to change about a picture; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"favourite": True}]})

    favourite: bool | None = None
    tags: list[Tag] | None = Field(None, max_length=MAX_TAGS, description="All its tags.")


class Deleted(Told):
    """How many pictures are gone for good."""

    deleted: int


class Differences(Told):
    """The fields in which two pictures' recipes differ, each with both values."""

    fields: dict[str, tuple[JsonValue, JsonValue]] = Field(
        examples=[{"seed": ["7", "8"], "steps": [20, 30]}]
    )
