"""A request for pictures, as it is sent and as it is told.

What a request may say is checked by `sfumato.request.Request`, and only there; its ranges
stand here for readers of the OpenAPI document.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from sfumato.limits import (
    FILLS,
    FITS,
    MAX_BLUR,
    MAX_CLIP_SKIP,
    MAX_COUNT,
    MAX_GUIDANCE,
    MAX_PADDING,
    MAX_SEED,
    MAX_SHIFT,
    MAX_SIZE,
    MAX_STEPS,
    MIN_SHIFT,
    MIN_SIZE,
    RULES,
    SIZE_STEP,
    THRESHOLDS,
    UPSCALER,
    UPSCALES,
)
from sfumato.numerics import CHOICES, LIKE
from sfumato.server.schemas.base import DIGITS, Digest, Given, Told

__all__ = [
    "EmbeddingTold",
    "EmbeddingWanted",
    "InputReference",
    "InputTold",
    "RequestTold",
    "RequestWanted",
]

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
_Most = Annotated[float, Field(json_schema_extra={"minimum": 0.5, "maximum": 1})]
_Pixels = Annotated[list[int], Field(min_length=2, max_length=2)]
_Liked = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 10})]
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
    pag: _Guidance = Field(
        0.0, description="Lead away from the network without self-attention.", examples=[3.0]
    )
    pag_layers: list[int] | None = Field(
        None, description="pag: of which layers, from 0 in the order in which they run."
    )
    slg: _Guidance = Field(
        0.0, description="Lead away from the network with layers left out.", examples=[2.8]
    )
    slg_layers: list[int] | None = Field(None, description="slg: which layers, from 0.")
    slg_during: list[float] = Field(
        [0.01, 0.2], description="slg: during that part of the steps, from and to, of 0 to 1."
    )
    threshold: Annotated[str, Field(json_schema_extra={"enum": [*THRESHOLDS]})] = Field(
        "none", description="What holds estimates that strong guidance makes too large."
    )
    mimic_scale: _Guidance = Field(7.0, description="mimic: the guidance whose range is kept.")
    mimic_quantile: _Most = Field(1.0, description="mimic: values above it are clipped.")
    imagen_quantile: _Most = Field(0.995, description="imagen: values above it are clipped.")
    imagen_limit: Annotated[float, Field(json_schema_extra={"minimum": 0.1, "maximum": 100})] = (
        Field(1.0, description="imagen: how large values may be.")
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
    shift: (
        Annotated[float, Field(json_schema_extra={"minimum": MIN_SHIFT, "maximum": MAX_SHIFT})]
        | None
    ) = Field(
        None,
        description="SD 3 and Flux: how far the noise levels are moved towards noise. Null is the "
        "model's own: 3, and by the size for Flux dev.",
        examples=[3.0],
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
        description="The tool whose numerics fill the next twelve fields, where they are null.",
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
    empty_negative: Annotated[str, _way("empty_negative")] | None = Field(
        None, description="What SDXL hears where there is no negative prompt."
    )
    t5_padding: Annotated[str, _way("t5_padding")] | None = Field(
        None, description="To how many tokens T5's are padded, for SD 3 and Flux."
    )
    fixed_shift: bool | None = Field(
        None, description="Whether Flux dev's levels are those of 1024x1024 at any size."
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
    original_size: _Pixels | None = Field(
        None, description="SDXL is told that the picture was so large; width, height."
    )
    crop: _Pixels = Field([0, 0], description="SDXL is told that so much was cut off; left, top.")
    target_size: _Pixels | None = Field(None, description="SDXL composes for it; width, height.")
    negative_original_size: _Pixels | None = Field(None, description="Null: as `original_size`.")
    negative_crop: _Pixels | None = Field(None, description="Null: as `crop`.")
    negative_target_size: _Pixels | None = Field(None, description="Null: as `target_size`.")
    aesthetic: _Liked = Field(6.0, description="The refiner is told that it is so liked.")
    negative_aesthetic: _Liked = Field(2.5, description="The same beside the negative prompt.")
    model: str | None = Field(
        None, description="A name of GET /api/models; else the server's own.", examples=["mini"]
    )
    refiner: str | None = Field(
        None, description="A model of GET /api/models that takes over towards the end."
    )
    refiner_at: _Part | None = Field(
        None, description="When, of the time from noise to picture; 0.8 if not said."
    )
    vae: str | None = Field(
        None, description="A part in a file of its own; no part can be chosen on a server yet."
    )
    text_encoders: list[str] = Field(
        default=[],
        description="Parts in files of their own; no part can be chosen on a server yet.",
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
    pag: float = 0.0
    pag_layers: list[int] | None = None
    slg: float = 0.0
    slg_layers: list[int] | None = None
    slg_during: list[float] = Field(default=[0.01, 0.2])
    threshold: str = "none"
    mimic_scale: float = 7.0
    mimic_quantile: float = 1.0
    imagen_quantile: float = 0.995
    imagen_limit: float = 1.0
    sampler: str | None
    schedule: str | None
    sigmas: list[float] | None = None
    shift: float | None = None
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
    empty_negative: str | None = None
    t5_padding: str | None = None
    fixed_shift: bool | None = None
    rounding: str | None = None
    clip_skip: int = 1
    embeddings: list[EmbeddingTold] | None = None
    original_size: list[int] | None = None
    crop: list[int] = Field(default=[0, 0])
    target_size: list[int] | None = None
    negative_original_size: list[int] | None = None
    negative_crop: list[int] | None = None
    negative_target_size: list[int] | None = None
    aesthetic: float = 6.0
    negative_aesthetic: float = 2.5
    model: str | None
    refiner: str | None = None
    refiner_at: float | None = None
    vae: str | None = None
    text_encoders: list[str] = Field(default=[])
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
