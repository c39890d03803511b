"""The words of the native API: every object that goes in or out, its fields, and what they mean.

What a request for pictures may say is checked by `sfumato.request.Request`, and only there; its
ranges stand here for readers of the OpenAPI document. Seeds go out as strings, because a JavaScript
number ends at 2^53 and a seed at 2^64 - 1.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sfumato.numerics import CHOICES, LIKE
from sfumato.request import (
    FILLS,
    FITS,
    MAX_BLUR,
    MAX_CLIP_SKIP,
    MAX_COUNT,
    MAX_GUIDANCE,
    MAX_PADDING,
    MAX_SEED,
    MAX_SIZE,
    MAX_STEPS,
    MIN_SIZE,
    RULES,
    SIZE_STEP,
    UPSCALER,
    UPSCALES,
)
from sfumato.server.admission import MAX_PRIORITY
from sfumato.server.library.search import MOST

MAX_TAGS, MAX_TAG = 32, 60
PAGE, MAX_PAGE = 50, MOST
SHA256 = r"^[0-9a-f]{64}$"
DIGITS = r"^[0-9]{1,20}$"


class Given(BaseModel):
    """What a client sends: these fields and no others, each of exactly its type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Told(BaseModel):
    """What the server answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(BaseModel):
    """The query of an address; there a number is the text of its digits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Digest = Annotated[str, Field(pattern=SHA256, examples=["0a1b" * 16])]
Tag = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TAG, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["keep"]),
]
Seconds = Annotated[float, Field(description="Seconds since 1970, UTC.", examples=[1764032400.25])]

# ---- a request for pictures

_Seed = (
    Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": MAX_SEED})]
    | Annotated[str, Field(pattern=DIGITS)]
)
_Steps = Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_STEPS})]
_Side = Annotated[
    int,
    Field(
        json_schema_extra={"minimum": MIN_SIZE, "maximum": MAX_SIZE, "multipleOf": SIZE_STEP},
    ),
]
_Guidance = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": MAX_GUIDANCE})]
_Part = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1})]


def _way(difference: str) -> Any:
    """The ways of one of the differences between the tools."""
    return Field(json_schema_extra={"enum": [*CHOICES[difference]]})


class InputReference(Given):
    """A picture or a mask that was sent before: by its hash alone, or as answers write it."""

    sha256: Digest
    width: int | None = Field(None, ge=1, description="In pixels; told in answers, not needed.")
    height: int | None = Field(None, ge=1, description="In pixels; told in answers, not needed.")


class EmbeddingWanted(Given):
    """A learnt word (textual inversion), by its name and, if it must be that one, its hash."""

    name: str = Field(min_length=1)
    sha256: str = Field(
        "",
        pattern="^([0-9a-f]{8,64})?$",
        description="Its beginning, of 8 digits or more, is enough.",
    )


class RequestWanted(Given):
    """A wish for one or more pictures. What is left out, or null, is as the model likes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"prompt": "a red fox, 3d", "seed": 7, "steps": 20, "width": 128}]
        }
    )

    prompt: str = Field("", description="What to show. May be empty.", examples=["a red fox, 3d"])
    negative: str = Field("", description="What not to show.", examples=["text"])
    template: str = Field("", description="What the prompt was drawn from, for the record alone.")
    negative_template: str = Field("", description="The same of the negative prompt.")
    seed: _Seed | None = Field(
        None,
        description="0 to 2^64 - 1, as a number or as text. Picture i has seed + i. Without one, "
        "a seed is drawn when the job is accepted.",
        examples=[7, "18446744073709551615"],
    )
    steps: _Steps | None = Field(None, description="Refinements; more take longer.", examples=[20])
    guidance: _Guidance | None = Field(
        None, description="How strictly to follow the prompt; 1 is not at all.", examples=[7.5]
    )
    rescale: _Part = Field(0.0, description="Tames strong guidance.", examples=[0.7])
    distilled: _Guidance | None = Field(
        None,
        description="The guidance that a distilled model (Flux dev) takes as an input.",
        examples=[3.5],
    )
    interval: list[float] | None = Field(
        None, description="Guide between these two noise levels only.", examples=[[0.28, 5.42]]
    )
    guidance_rule: Annotated[str, Field(json_schema_extra={"enum": [*RULES]})] = Field(
        "cfg", description="How the two prompts' outputs become one."
    )
    apg_along: _Part = Field(0.0, description="apg: what is left along the picture.")
    apg_longest: Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1000})] = Field(
        15.0, description="apg: the longest difference; 0 is any."
    )
    zero_steps: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": MAX_STEPS})] = (
        Field(1, description="zero_star: so many first steps rest.")
    )
    sampler: str | None = Field(
        None, description="A name or alias of GET /api/samplers.", examples=["dpmpp_2m"]
    )
    schedule: str | None = Field(
        None, description="A name or alias of GET /api/samplers.", examples=["karras"]
    )
    sigmas: list[float] | None = Field(
        None, description="Own noise levels, falling, in place of schedule and steps."
    )
    width: _Side | None = Field(None, description="In pixels.", examples=[128])
    height: _Side | None = Field(None, description="In pixels.", examples=[128])
    count: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_COUNT})] = Field(
        1, description="How many pictures: seed, seed + 1, ...", examples=[1]
    )
    wander: bool = Field(
        False, description="Keep the starting noise, take a path of its own from it."
    )
    path_seed: _Seed | None = Field(
        None, description="The seed of that path; drawn when left out.", examples=["42"]
    )
    variation_seed: _Seed | None = Field(
        None,
        description="The seed of a variation; drawn when left out. Picture i has "
        "variation_seed + i, and then all have the same seed.",
        examples=["42"],
    )
    variation_strength: _Part | None = Field(
        None,
        description="How far the starting noise is turned towards that of variation_seed; 0 is the "
        "picture of seed, 1 that of variation_seed.",
        examples=[0.2],
    )
    seed_width: _Side | None = Field(
        None,
        description="With seed_height: the starting noise of a picture of this size is set into "
        "the middle of this one's, so that the composition stays.",
    )
    seed_height: _Side | None = Field(None, description="With seed_width.")
    like: str = Field(
        "sfumato",
        description="The tool whose numerics fill the next nine fields, where they are null.",
        json_schema_extra={"enum": [*LIKE]},
    )
    stream: Annotated[str, _way("stream")] | None = Field(
        None, description="Where noise comes from: torch's CPU stream, or NVIDIA's."
    )
    step_noise: Annotated[str, _way("step_noise")] | None = Field(
        None, description="Whether the steps' noise goes on in that stream, or has its own."
    )
    sde_noise: Annotated[str, _way("sde_noise")] | None = Field(
        None, description="Whether SDE samplers draw for each step, or follow one path per seed."
    )
    first_noise: Annotated[str, _way("first_noise")] | None = Field(
        None, description="What the first noise is multiplied by."
    )
    whole_times: bool | None = Field(None, description="Whether the network hears whole times.")
    discard_penultimate: bool | None = Field(
        None, description="Plan one step more, and leave out the lowest level above 0."
    )
    strength_steps: Annotated[str, _way("strength_steps")] | None = Field(
        None, description="How many steps `strength` makes: a share, one extra, or all."
    )
    weighting: Annotated[str, _way("weighting")] | None = Field(
        None, description="By whose rule brackets weigh a prompt's words; plain: by none."
    )
    rounding: Annotated[str, _way("rounding")] | None = Field(
        None, description="Whether pixels are rounded to 8 bits, or cut."
    )
    clip_skip: Annotated[int, Field(json_schema_extra={"minimum": 1, "maximum": MAX_CLIP_SKIP})] = (
        Field(1, description="CLIP's layer: 1 is the usual one, 2 the one before it.")
    )
    embeddings: list[EmbeddingWanted] | None = Field(
        None,
        description="Of the embeddings that a prompt names, hear these alone. Left out, or null: "
        "each that lies in a folder of embeddings.",
        examples=[[]],
    )
    model: str | None = Field(
        None, description="A name of GET /api/models; else the server's own.", examples=["mini"]
    )
    vae: str | None = Field(
        None, description="A part in a file of its own; no part can be chosen on a server yet."
    )
    text_encoders: tuple[str, ...] = Field(
        (), description="Parts in files of their own; no part can be chosen on a server yet."
    )
    image: Digest | InputReference | None = Field(
        None, description="The picture to start from: the sha256 that POST /api/inputs answered."
    )
    strength: (
        Annotated[float, Field(json_schema_extra={"exclusiveMinimum": 0, "maximum": 1})] | None
    ) = Field(
        None, description="How much of that picture is made anew; 1 is all of it.", examples=[0.75]
    )
    fit: str = Field(
        "crop",
        description="How that picture meets another shape.",
        json_schema_extra={"enum": [*FITS]},
    )
    mask: Digest | InputReference | None = Field(
        None, description="Where to repaint (white): the sha256 that POST /api/inputs answered."
    )
    mask_blur: Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": MAX_BLUR})] = Field(
        4, description="Softens the mask's edge; in pixels."
    )
    mask_fill: str = Field(
        "original",
        description="What the masked area starts from.",
        json_schema_extra={"enum": [*FILLS]},
    )
    mask_padding: (
        Annotated[int, Field(json_schema_extra={"minimum": 0, "maximum": MAX_PADDING})] | None
    ) = Field(
        None, description="Paint the masked area alone, enlarged, with so many pixels around it."
    )
    mask_invert: bool = Field(False, description="Repaint where the mask is black.")
    upscale: Annotated[int, Field(json_schema_extra={"enum": [*UPSCALES]})] | None = Field(
        None,
        description="So many times as wide and high the finished picture is made, by a network.",
        examples=[4],
    )
    upscaler: str | None = Field(
        None,
        description="The network that does it; only the one that comes with sfumato.",
        examples=[UPSCALER],
    )


class InputTold(Told):
    """A picture that a request starts from, by the hash of its pixels."""

    sha256: Digest
    width: int
    height: int


class EmbeddingTold(Told):
    """A learnt word that was heard, and the sha256 of its file."""

    name: str
    sha256: str


class RequestTold(Told):
    """A request as the server holds it. What is null is left to the model."""

    prompt: str
    negative: str
    template: str = ""
    negative_template: str = ""
    seed: str | None = Field(pattern=DIGITS, examples=["7"])
    steps: int | None
    guidance: float | None
    rescale: float
    distilled: float | None = None
    interval: list[float] | None = None
    guidance_rule: str = "cfg"
    apg_along: float = 0.0
    apg_longest: float = 15.0
    zero_steps: int = 1
    sampler: str | None
    schedule: str | None
    sigmas: list[float] | None = None
    width: int | None
    height: int | None
    count: int
    wander: bool
    path_seed: str | None = Field(pattern=DIGITS)
    variation_seed: str | None = Field(pattern=DIGITS)
    variation_strength: float | None
    seed_width: int | None
    seed_height: int | None
    like: str = "sfumato"
    stream: str | None
    step_noise: str | None = None
    sde_noise: str | None = None
    first_noise: str | None = None
    whole_times: bool | None = None
    discard_penultimate: bool | None = None
    strength_steps: str | None = None
    weighting: str | None = None
    rounding: str | None = None
    clip_skip: int = 1
    embeddings: list[EmbeddingTold] | None = None
    model: str | None
    vae: str | None = None
    text_encoders: tuple[str, ...] = ()
    image: InputTold | None
    strength: float | None
    fit: str
    mask: InputTold | None
    mask_blur: int
    mask_fill: str
    mask_padding: int | None
    mask_invert: bool
    upscale: int | None = None
    upscaler: str | None = None


# ---- pictures


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


# ---- jobs

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


# ---- what is sent, read and told

Part = Literal["picture", "mask"]


class Input(Told):
    """A picture or a mask that requests may now refer to by its hash."""

    model_config = ConfigDict(populate_by_name=True)

    sha256: Digest
    width: int
    height: int
    part: Part = Field(alias="as")


class Reading(Told):
    """What a picture says about its making."""

    request: RequestTold = Field(description="What can be followed; ready to be sent as a job.")
    recipe: RecipeTold | None = Field(description="Complete, if sfumato made it.")
    parameters: str
    unread: dict[str, str] = Field(description="Its settings that sfumato does not follow.")
    exact: bool = Field(description="Whether the same machine would make the same pixels again.")


class CallsWanted(Given):
    """A request to be written down."""

    request: RequestWanted


class Calls(Told):
    """Three ways to make the same pictures."""

    command: str = Field(description="For a POSIX shell.")
    python: str = Field(description="A program.")
    http: str = Field(description="For a POSIX shell with curl.")


class LimitsTold(Told):
    """How much this server takes on."""

    queue: int = Field(description="Jobs that may wait.")
    pixels: int = Field(description="Of one picture, width x height.")
    steps: int
    count: int = Field(description="Pictures of one job.")
    upload_bytes: int = Field(description="Of one picture that is sent.")
    upload_pixels: int = Field(description="Of one picture that is sent.")


class About(Told):
    """This server, and what it paints with."""

    name: Literal["sfumato"]
    version: str
    model: str = Field(description="What a request gets that names none.")
    device: str | None = Field(description="Null until the model is loaded.")
    precision: str | None = Field(description="Null until the model is loaded.")
    ready: bool = Field(description="Whether the model is loaded.")
    limits: LimitsTold
    login: bool = Field(description="Whether this server asks who calls.")


class DefaultsTold(Told):
    """How a model likes to be used."""

    steps: int
    guidance: float
    sampler: str
    schedule: str
    width: int
    height: int


class Model(Told):
    """A model that requests may name."""

    name: str = Field(description="What a request says.", examples=["mini"])
    title: str
    family: str
    default: bool = Field(description="Whether a request gets it that names none.")
    bundled: bool = Field(description="Whether it came with sfumato.")
    sha256: str | None = Field(description="Of its file; null until it was needed.")
    defaults: DefaultsTold | None


class Sampler(Told):
    """A way to go from noise to the picture."""

    name: str
    title: str = Field(description="As A1111 shows it.")
    aliases: list[str] = Field(description="Also understood: names in other programs.")
    stochastic: bool = Field(description="Whether its steps draw noise, so that it can wander.")
    cost: int = Field(description="Calls of the model in each step.")
    order: int = Field(description="Half the step, and the error falls by 2^order.")
    summary: str


class Schedule(Told):
    """How the steps are spread over the noise levels."""

    name: str
    title: str = Field(description="As A1111 shows it.")
    aliases: list[str] = Field(description="Also understood: names in other programs.")
    summary: str


class Samplers(Told):
    """All samplers and schedules."""

    samplers: list[Sampler]
    schedules: list[Schedule]


class Trouble(Told):
    """What went wrong, and where."""

    message: str = Field(examples=["steps is 0, but must be between 1 and 1000."])
    field: str | None = Field(description="The field at fault, if it was one.")


class NativeError(Told):
    """Every answer from 400 on."""

    error: Trouble
