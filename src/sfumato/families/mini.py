"""The bundled model's family: BERT's token states, and one vector for the whole prompt.

What a prompt calls otherwise than the model does is read by the model's own name too: "an espresso"
as "a cup of coffee, an espresso".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfumato.errors import PromptError
from sfumato.families.base import USUAL, Conditioning, Reading, UNetFamily
from sfumato.families.emphasis import emphasised
from sfumato.nn.bert import TextTower
from sfumato.shipped import shipped
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.names import Names
from sfumato.text.prompt import Fragment, read_weights
from sfumato.text.tokens import Tokens
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.text.words import words_in
from sfumato.weights.load import Parts

__all__ = ["Mini"]

_LIKELY = 0.3  # a name that is read before a prompt's own words
_MAY_BE = 0.05  # one that the prompt has, and that may be what is meant


@dataclass(frozen=True)
class _Heard:
    """A text's published and adapted states (1, L, D), its pooled vector (1, D), and which of the
    tokens are real (1, L).
    """

    states: Tensor
    context: Tensor
    pooled: Tensor
    mask: Tensor


class Mini(UNetFamily):
    """A reader of short prompts; what does not fit, or cannot be read, is named and refused."""

    def __init__(self, spec: ModelSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        (part,), (text,) = spec.texts, parts.texts
        assert isinstance(part.config, BertConfig)
        assert isinstance(text, TextTower)
        self.text = text
        words = shipped("mini/vocabulary.txt").read_text("utf-8").splitlines()
        self.tokenizer = WordPieceTokenizer(words, part.config.length)
        self.names, self._found = part.config.names, Names(part.config.names)

    def encode(
        self,
        prompts: Sequence[str],
        negative: str,
        size: tuple[int, int],
        reading: Reading = USUAL,
    ) -> tuple[list[Conditioning], Conditioning]:
        """Each prompt by itself, read at once.

        Raises PromptError for one that is too long, or holds a word of which no piece is known.
        """
        return (
            [self._read(prompt, "prompt", reading.weighting, named=True) for prompt in prompts],
            self._read(negative, "negative prompt", reading.weighting, named=False),
        )

    def _require_known(self, prompt: str, what: str) -> None:
        lost = self.tokenizer.unreadable(prompt)
        if lost:
            raise PromptError(
                f"The {what} holds what this model cannot read: {', '.join(lost)}.\n"
                "It reads plain English words; say it in those, or leave it out."
            )

    @torch.no_grad()
    def _read(self, prompt: str, what: str, weighting: str, *, named: bool) -> Conditioning:
        """The prompt's states, weighed. The model reads one chunk, so that BREAK is a comma.

        ``named``: the name that comes nearest is read before it.
        """
        groups = read_weights(prompt, weighting)
        tokens, each = self.tokenizer.weighted(groups)
        self._require_known(tokens.prompt, what)
        heard = self._hear(tokens.prompt, what)
        name = self._name_for(tokens, heard) if named else None
        if name is not None:
            tokens, each = self.tokenizer.weighted([[Fragment(name)], *groups])
            heard = self._hear(tokens.prompt, what)
        rest = [1.0] * (self.tokenizer.length - 1 - len(each))
        weights = (1.0, *each, *rest)
        context = emphasised(
            heard.context, [weights], weighting, lambda: self._hear("", what).context[0]
        )
        return Conditioning(context, heard.mask[:, None, None], heard.pooled)

    @torch.no_grad()
    def taken(self, prompt: str, weighting: str) -> str | None:
        tokens, _ = self.tokenizer.weighted(read_weights(prompt, weighting))
        if len(tokens.ids) > self.tokenizer.length - 2:
            return None
        return self._name_for(tokens, self._hear(tokens.prompt, "prompt"))

    def _name_for(self, tokens: Tokens, heard: _Heard) -> str | None:
        """The name that comes nearest to what a prompt asks for in other words.

        None where no one name is likely, where the prompt has a name that may be meant, and where
        there is no room for another.
        """
        naming = self.text.naming
        room = self.tokenizer.length - 2 - len(tokens.ids)
        if naming is None or not words_in(tokens.prompt):
            return None
        likely = naming(heard.states, heard.context, heard.mask)[0].float().softmax(0)
        best = int(likely.argmax())
        if best == len(self.names) or likely[best] < _LIKELY:
            return None
        if any(likely[place] >= _MAY_BE for place in self._found.mentioned(tokens.prompt)):
            return None
        name = self.names[best]
        return name if len(self.tokenizer.read(f"{name}, ").ids) <= room else None

    def _hear(self, text: str, what: str) -> _Heard:
        """What the encoder and the adapter make of a text. PromptError if it is too long."""
        ids = torch.tensor([self.tokenizer.encode(text, what)], device=self.device)
        mask = ids != self.tokenizer.pad
        states = self.text.bert(ids, mask)
        context, pooled = self.text.adapter(states, mask)
        return _Heard(states, context, pooled, mask)
