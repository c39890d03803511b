"""CLIP's text encoder: token numbers to the context that a UNet attends to.

B batch, L tokens, D width, H heads, P projection width.
Source: Radford et al. 2021, Learning Transferable Visual Models From Natural Language Supervision.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sfumato.spec import ClipConfig

__all__ = ["ClipText"]


class ClipText(nn.Module):
    """A causal transformer over the prompt's tokens.

    Which layer's output is the context, and whether the last norm is applied to it, differs by
    family and stands in the config: SD 1.x takes the last with the norm, SD 2.x the last but one
    with it, SDXL the last but one without.
    """

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab, config.width)
        self.position = nn.Embedding(config.length, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.projection = (
            None
            if config.projection is None
            else nn.Linear(config.width, config.projection, bias=False)
        )

    def forward(
        self, ids: Tensor, learnt: Tensor | None = None, skip: int = 1
    ) -> tuple[Tensor, Tensor]:
        """`ids` (B, L) to the context (B, L, D) and the pooled state (B, P), or (B, D) without one.

        The pooled state is that of the first end mark, the vocabulary's last number, after the
        last layer and the norm. Numbers behind that one are the rows of ``learnt`` (V, D).
        ``skip``: 1 ... `ClipConfig.depth`; 1 takes the config's layer, 2 the one before it.
        """
        x = self._words(ids, learnt) + self.position.weight[: ids.shape[1]]  # (B, L, D)
        taken = self.config.depth + 1 - skip  # of the states 0 ... layers
        context = x
        for i, block in enumerate(self.blocks, start=1):
            x = block(x)
            if i == taken:
                context = x
        if self.config.final_norm:
            context = self.norm(context)
        end = (ids == self.config.vocab - 1).int().argmax(dim=-1)  # (B,)
        pooled = self.norm(x[torch.arange(len(x), device=x.device), end])  # (B, D)
        return context, pooled if self.projection is None else self.projection(pooled)

    def _words(self, ids: Tensor, learnt: Tensor | None) -> Tensor:
        """What each number stands for, (B, L, D): Gal et al. 2022 (arXiv:2208.01618), fig. 2."""
        if learnt is None:
            return self.token(ids)
        behind = ids - self.config.vocab  # (B, L)
        own = self.token(ids.clamp(max=self.config.vocab - 1))
        return torch.where(behind[..., None] < 0, own, learnt[behind.clamp(min=0)].to(own.dtype))


class Block(nn.Module):
    """Attention to the tokens before, then a two-layer perceptron; norms first, both residual."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = CausalAttention(config.width, config.heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.hidden = nn.Linear(config.width, config.hidden)
        self.hidden_out = nn.Linear(config.hidden, config.width)
        self.quick = config.activation == "quick_gelu"

    def forward(self, x: Tensor) -> Tensor:  # (B, L, D)
        x = x + self.attention(self.norm1(x))
        y = self.hidden(self.norm2(x))
        # OpenAI's weights were trained with x sigmoid(1.702 x), OpenCLIP's with the exact GELU.
        y = y * torch.sigmoid(1.702 * y) if self.quick else F.gelu(y)
        return x + self.hidden_out(y)


class CausalAttention(nn.Module):
    """Each token attends to itself and to those before it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:  # (B, L, D)
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, L, D/H)
            for part in (self.q, self.k, self.v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).flatten(2))
