"""Embeddings (textual inversion): small files of vectors that stand for a word of their own.

Four forms are in circulation, all opened by the doors of `weights.files`, headers only:

    string_to_param  AUTOMATIC1111, and the first published code: .pt
    emb_params       AUTOMATIC1111: .safetensors
    <word>           diffusers' learned_embeds, one tensor under the word itself
    clip_l, clip_g   for each encoder of Stable Diffusion XL; also text_encoders_0, text_encoders_1

Source of the method: Gal et al. 2022 (arXiv:2208.01618).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import WeightsError
from sfumato.weights.entries import Entry, Weights
from sfumato.weights.files import open_weights

__all__ = ["Learnt", "open_learnt"]

FLOATS = frozenset({"float64", "float32", "float16", "bfloat16"})
# The names under which a part for each of several encoders goes.
PARTS: Mapping[str, str] = {
    "clip_l": "clip_l",
    "clip_g": "clip_g",
    "t5xxl": "t5xxl",
    "text_encoders_0": "clip_l",
    "text_encoders_1": "clip_g",
}
# Whose words are of which widths, for the message alone.
KNOWN: Mapping[tuple[tuple[str, int], ...], str] = {
    (("", 768),): "Stable Diffusion 1",
    (("", 1024),): "Stable Diffusion 2",
    (("clip_g", 1280), ("clip_l", 768)): "Stable Diffusion XL",
}


@dataclass(frozen=True)
class Learnt:
    """An embedding: its name in prompts, and its vectors (count, width) for each text encoder.

    A file for a model with one encoder has its vectors under "".
    """

    name: str
    path: Path
    parts: Mapping[str, Entry]

    @property
    def count(self) -> int:
        """How many tokens it stands for."""
        entry = next(iter(self.parts.values()))
        return 1 if len(entry.shape) == 1 else entry.shape[0]

    @property
    def widths(self) -> Mapping[str, int]:
        """How long its vectors are, for each encoder."""
        return {part: entry.shape[-1] for part, entry in self.parts.items()}

    def fits(self, taken: Mapping[str, int]) -> bool:
        """Whether a model reads it whose encoders have words of these widths."""
        return bool(taken) and all(self.widths.get(part) == width for part, width in taken.items())

    def require(self, taken: Mapping[str, int], model: str) -> None:
        """Raise WeightsError where a model of this name does not read it."""
        if not self.fits(taken):
            raise WeightsError(
                f"{self.name} is an embedding for {_told(self.widths)}, and {model} takes "
                f"{_told(taken)}.\n  Leave it out, or have it read as plain words with "
                "--embeddings none."
            )


def open_learnt(path: Path, name: str | None = None) -> Learnt:
    """An embedding's file; its name is that of the file where none is given.

    Raises WeightsError for a file that is none, or that holds more than one word.
    """
    weights = open_weights(path)
    found = {
        key.removeprefix("string_to_param."): entry
        for key, entry in weights.entries.items()
        if entry.dtype in FLOATS
    }
    parts = {PARTS[key]: entry for key, entry in found.items() if key in PARTS}
    if len(parts) < len(found):
        if len(found) != 1:
            raise _none(weights)
        parts = {"": next(iter(found.values()))}
    counts = {1 if len(e.shape) == 1 else e.shape[0] for e in parts.values()}
    if len(counts) != 1 or counts == {0} or any(len(e.shape) not in (1, 2) for e in parts.values()):
        raise _none(weights)
    return Learnt(path.stem if name is None else name, path, parts)


def _none(weights: Weights) -> WeightsError:
    rows = [f"{key} {entry.shape}" for key, entry in list(weights.entries.items())[:3]]
    more = len(weights.entries) - len(rows)
    shown = ", ".join(rows) + (f" and {more} more" if more > 0 else "")
    return WeightsError(
        f"{weights.path.name} is not an embedding: it holds {shown or 'nothing'}.\n"
        "  Expected one tensor of a few vectors, or clip_l and clip_g with equally many."
    )


def _told(widths: Mapping[str, int]) -> str:
    if not widths:
        return "none"
    numbers = ", ".join(f"{part} {width}".strip() for part, width in widths.items())
    name = KNOWN.get(tuple(sorted(widths.items())))
    return f"words of {numbers}" if name is None else f"{name} (words of {numbers})"
