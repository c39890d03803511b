"""The server itself: its limits, its models, its samplers and schedules."""

from typing import Literal

from pydantic import Field

from sfumato.server.schemas.base import Told

__all__ = [
    "About",
    "DefaultsTold",
    "LimitsTold",
    "Model",
    "Sampler",
    "Samplers",
    "Schedule",
]


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
    distilled: float | None = Field(description="Of a distilled model; null for any other.")
    pag_layers: list[int] | None = Field(
        None, description="From which PAG leads away; null where it cannot."
    )
    slg_layers: list[int] | None = Field(
        None, description="Which skip-layer guidance leaves out; null where it cannot."
    )
    multiple: int = Field(description="What divides each side of its pictures.")
    largest: int = Field(description="The longest side of its pictures.")


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
