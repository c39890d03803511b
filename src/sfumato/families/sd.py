"""Stable Diffusion 1 and 2: CLIP reads the prompt, in chunks of 75 tokens where it is long."""

from sfumato.families.base import Conditioning, Family
from sfumato.families.clip_reader import ClipReader
from sfumato.families.emphasis import read_weights
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import ModelSpec

__all__ = ["StableDiffusion"]


class StableDiffusion(Family):
    """One text encoder, its context alone."""

    def __init__(self, spec: ModelSpec, unet: UNet, vae: Vae, text: ClipText) -> None:
        super().__init__(spec, unet, vae)
        self.reader = ClipReader(text)

    def encode(
        self, prompt: str, negative: str, size: tuple[int, int], weighting: str = "a1111"
    ) -> tuple[Conditioning, Conditioning]:
        """Both prompts, the shorter one followed by empty chunks."""
        heard, unheard = (read_weights(text, weighting) for text in (prompt, negative))
        count = max(self.reader.count(heard), self.reader.count(unheard))
        positive, _ = self.reader.read(heard, count, weighting)
        other, _ = self.reader.read(unheard, count, weighting)
        return Conditioning(positive), Conditioning(other)
