"""What artists choose by: steps that are enough, a picture that is its recipe's, why two differ."""

from pydantic import Field, JsonValue

from sfumato.choose.ladder import Advice
from sfumato.server.schemas.base import Told

__all__ = [
    "Distance",
    "LadderTold",
    "LadderView",
    "Reason",
    "Rung",
    "VerdictTold",
    "VerdictView",
    "Why",
]


class Rung(Told):
    """One number of steps."""

    steps: int
    seconds: float = Field(description="Of one picture, on average.")
    changes: list[float] = Field(
        description="Of each seed: how unlike its picture with the most steps; 0 is the same."
    )


class LadderView(Told):
    """How many steps are worth their time."""

    sampler: str
    recommended: int | None = Field(description="Null where none can be.")
    settled: bool = Field(description="Whether an eye sees no change from there on.")
    headline: str
    reason: str = Field(description="What was found.")
    advice: list[Advice] = Field(
        description="What to do about that: climb higher, look at more seeds, take another "
        "sampler, or a calm one, which draws no noise."
    )
    same: float = Field(description="A change that can just be seen.")
    near: float = Field(description="A change of tones and edges only.")
    rungs: list[Rung]


class LadderTold(Told):
    """The ladder that a sheet is."""

    ladder: LadderView | None = Field(description="Null until all of its pictures are there.")


class Distance(Told):
    """How far two pictures' values are apart."""

    equal: bool
    share: float = Field(description="Of the values that differ, 0 to 1.")
    largest: int = Field(description="The largest difference, of 255.")
    mean: float
    psnr: float | None = Field(description="In dB; null for equal pictures.")


class VerdictView(Told):
    """Whether a picture is what its recipe makes here."""

    equal: bool
    words: str = Field(examples=["equal to the bit"])
    distance: Distance | None = Field(description="Null where the sizes differ.")
    reasons: list[str] = Field(description="None if it is equal.")
    picture: str = Field(description="The one that was made to compare with.")


class VerdictTold(Told):
    """The verdict on a picture."""

    verdict: VerdictView | None = Field(description="Null until its twin is painted.")


class Reason(Told):
    """One thing in which two recipes differ; null: one of them does not say."""

    field: str
    a: JsonValue
    b: JsonValue
    does: str = Field(description="What such a difference does to a picture.")


class Why(Told):
    """Why two pictures differ."""

    summary: str
    reasons: list[Reason] = Field(description="The most telling first.")
    distance: Distance | None = Field(description="Null where the sizes differ.")
