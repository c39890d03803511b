"""Stable Diffusion 1 and 2: CLIP reads the prompt, in chunks of 75 tokens where it is long."""

from collections.abc import Sequence

from sfumato.families.base import USUAL, Conditioning, Reading, UNetFamily
from sfumato.families.clip_reader import ClipReader
from sfumato.nn.clip import ClipText
from sfumato.spec import ModelSpec
from sfumato.text.prompt import read_weights
from sfumato.weights.load import Parts

__all__ = ["StableDiffusion"]


class StableDiffusion(UNetFamily):
    """One text encoder, its context alone."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        (text,) = parts.texts
        assert isinstance(text, ClipText)
        self.reader = ClipReader(text, *spec.embeds)
        self.deepest = text.config.depth

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """All prompts, the shorter ones followed by empty chunks."""
        texts = [read_weights(text, reading.weighting) for text in (*prompts, negative)]
        count = max(self.reader.count(text, reading.learnt) for text in texts)
        read = [self.reader.read(text, count, reading)[0] for text in texts]
        *positives, other = map(Conditioning, read)
        return positives, other
