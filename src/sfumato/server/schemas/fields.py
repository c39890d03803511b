"""The fields of a request, as one who makes a form of them needs to know them."""

from typing import Literal, TypeAlias

from pydantic import Field, JsonValue

from sfumato.server.schemas.base import Told

__all__ = ["FieldKind", "FieldTold", "NeedTold"]

FieldKind: TypeAlias = Literal[
    "text", "name", "whole", "real", "flag", "choice", "reals", "wholes", "names", "seed", "other"
]


class NeedTold(Told):
    """Another field, without which one has no effect and is refused."""

    field: str
    value: JsonValue = Field(description="What it must be; null: anything but its usual value.")


class FieldTold(Told):
    """One field of a request."""

    name: str
    kind: FieldKind = Field(
        description="name is of a model, a sampler and the like; reals, wholes and names are "
        "lists; other is what no box holds, such as a picture."
    )
    about: str = Field(description="What it does.")
    usual: JsonValue = Field(description="Its value where nothing is said.")
    open: bool = Field(description="Whether null leaves it to the model, or to another field.")
    least: float | None = Field(description="Of a number.")
    most: float | None = Field(description="Of a number.")
    choices: list[str | int] = Field(description="All that it may be; empty where that is no list.")
    needs: NeedTold | None
    follows: str | None = Field(
        description="Another field, which fills it where it is null: who changes that one opens "
        "this one."
    )
