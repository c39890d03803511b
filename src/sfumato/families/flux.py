"""Flux.1: T5 reads the prompt, CLIP gives one vector for all of it, the strength of guidance may be
an input.

L text tokens. Source: black-forest-labs/flux, `src/flux/sampling.py` (Apache-2.0).
"""

from collections.abc import Sequence

from torch import Tensor

from sfumato.diffusion.process import Flow, Process
from sfumato.diffusion.shift import shift_of_flux
from sfumato.families.base import USUAL, WHOLE, Conditioning, Family, Reading, Spoiling
from sfumato.families.clip_reader import ClipReader
from sfumato.families.t5_reader import T5Reader
from sfumato.nn.clip import ClipText
from sfumato.nn.flux import Flux
from sfumato.nn.t5 import T5Encoder
from sfumato.spec import ModelSpec
from sfumato.text.prompt import read_weights
from sfumato.weights.load import Parts

__all__ = ["FluxModel"]

LEAST_GUIDED, LEAST = 512, 256  # tokens of T5 in training: dev, which knows guidance, and schnell


class FluxModel(Family):
    """dev, whose noise levels grow with the picture, or schnell."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        clip, t5 = parts.texts
        assert isinstance(parts.denoiser, Flux)
        assert isinstance(clip, ClipText)
        assert isinstance(t5, T5Encoder)
        assert parts.t5 is not None
        self.flux = parts.denoiser
        self.clip = ClipReader(clip)
        self.t5 = T5Reader(t5, parts.t5)

    def process(self, width: int, height: int) -> Process:
        """The flow, of dev shifted by the number of tokens, each of 16 x 16 pixels."""
        if not self.spec.process.by_size:
            return super().process(width, height)
        side = self.spec.vae.factor * self.flux.config.patch
        return Flow(shift_of_flux((width // side) * (height // side)))

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """All prompts, the shorter ones padded; CLIP hears the first 75 tokens of each."""
        texts = [read_weights(text, reading.weighting) for text in (*prompts, negative)]
        long = self.flux.config.guidance and reading.t5_padding == "long"
        tokens = max(self.t5.count(text, LEAST_GUIDED if long else LEAST) for text in texts)
        *heard, other = (
            Conditioning(
                self.t5.read(text, tokens, reading.weighting),
                added=self.clip.read(text, self.clip.count(text), reading)[1],
            )
            for text in texts
        )
        return heard, other

    def output(
        self, x: Tensor, time: Tensor, conditioning: Conditioning, spoiling: Spoiling
    ) -> Tensor:
        assert spoiling == WHOLE, "Flux has no layers that are made worse on purpose"
        c = conditioning
        assert c.added is not None
        return self.flux(x, time, c.context.to(x.dtype), c.added.to(x.dtype), c.guidance)
