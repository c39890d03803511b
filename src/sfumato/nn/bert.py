"""The bundled model's reader: a BERT encoder as published, and a small trained adapter behind it.

B batch, L tokens, D width of a token.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.nn.layers import attend
from sfumato.spec import BertConfig

__all__ = ["Adapter", "Bert", "Naming", "TextTower", "run_layers"]

_LOOKS = 2  # of `Naming`


class BertLayer(nn.Module):
    """Attention, then a feed-forward layer, each residual and normalised after (post-norm)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width, eps=1e-12)
        self.hidden = nn.Linear(width, config.hidden)
        self.hidden_out = nn.Linear(config.hidden, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:  # (B, L, D), (B, 1, 1, L)
        y = attend(self.q(x), self.k(x), self.v(x), self.heads, mask)
        x = self.norm1(x + self.out(y))
        return self.norm2(x + self.hidden_out(F.gelu(self.hidden(x))))


def run_layers(layers: nn.ModuleList, x: Tensor, mask: Tensor) -> Tensor:
    """States (B, L, D) through one `BertLayer` after another; mask (B, L), true where real."""
    for layer in layers:
        x = layer(x, mask[:, None, None])
    return x


class Bert(nn.Module):
    """Word pieces to states (Devlin et al. 2019), one segment."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocab, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.segments = nn.Embedding(2, config.width)
        self.norm = nn.LayerNorm(config.width, eps=1e-12)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.layers))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:  # (B, L), (B, L) true where real
        places = self.positions.weight[: ids.shape[1]] + self.segments.weight[0]
        x = self.norm(self.words(ids) + places)  # (B, L, D)
        return run_layers(self.layers, x, mask)


class Adapter(nn.Module):
    """The trained half: published states to what the denoiser reads."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.adapter))
        self.pool = nn.Linear(2 * config.width, config.width)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, L, D) and mask (B, L) to the context (B, L, D) and a pooled vector (B, D).

        The pooled vector sees the mean of the published states beside that of the adapted ones, so
        that words close in meaning stay close.
        """
        x = run_layers(self.layers, states, mask)
        weight = mask[:, :, None].to(x.dtype)
        total = weight.sum(1)
        means = [(y * weight).sum(1) / total for y in (states, x)]
        return x, self.pool(torch.cat(means, dim=-1))


class Naming(nn.Module):
    """Which of the names that a model knows comes nearest to what is asked for, in other words.

    Two looks at the tokens, at what the encoder and what the adapter made of them.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.look = nn.Linear(2 * config.width, _LOOKS, bias=False)
        self.near = nn.Linear(_LOOKS * 2 * config.width, config.naming)
        self.names = nn.Linear(config.naming, len(config.names) + 1)

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """Published and adapted states, each (B, L, D), and the mask (B, L), to scores (B, N + 1).

        N names in their order; the last score is that of none, or of several at once.
        """
        both = torch.cat([context, states], dim=-1)  # (B, L, 2 D)
        weight = self.look(both).masked_fill(~mask[:, :, None], float("-inf")).softmax(1)
        seen = weight.mT @ both  # (B, looks, 2 D)
        return self.names(self.near(seen.flatten(1)))


class TextTower(nn.Module):
    """The whole reader: adapted token states, and one vector for the whole prompt."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = Bert(config)
        self.adapter = Adapter(config)
        self.naming = Naming(config) if config.names else None

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) ids and mask (true where real) to context (B, L, D) and pooled vector (B, D)."""
        return self.adapter(self.bert(ids, mask), mask)
