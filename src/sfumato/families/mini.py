"""The bundled model's family: BERT's token states, and one vector for the whole prompt."""

from collections.abc import Sequence

import torch

from sfumato.families.base import Conditioning, Family
from sfumato.nn.bert import TextTower
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.wordpiece import WordPieceTokenizer

__all__ = ["Mini"]


class Mini(Family):
    """A reader of short prompts; what does not fit is named and refused."""

    def __init__(
        self, spec: ModelSpec, unet: UNet, vae: Vae, text: TextTower, vocabulary: Sequence[str]
    ) -> None:
        super().__init__(spec, unet, vae)
        assert isinstance(spec.text, BertConfig)
        self.text = text
        self.tokenizer = WordPieceTokenizer(vocabulary, spec.text.length)

    def encode(self, prompt: str, negative: str) -> tuple[Conditioning, Conditioning]:
        """Both prompts, each read at once. Raises PromptError for one that is too long."""
        return self._read(prompt), self._read(negative)

    @torch.no_grad()
    def _read(self, prompt: str) -> Conditioning:
        ids = torch.tensor([self.tokenizer.encode(prompt)], device=self.device)
        mask = ids != self.tokenizer.pad  # (1, L)
        context, pooled = self.text(ids, mask)
        return Conditioning(context, mask[:, None, None], pooled)
