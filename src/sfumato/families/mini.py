"""The bundled model's family: BERT's token states, and one vector for the whole prompt.

What a prompt calls otherwise than the model does is read by the model's own name too: "an espresso"
as "a cup of coffee, an espresso".
"""

from collections.abc import Sequence

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
        name = self._name_for(tokens) if named else None
        if name is not None:
            tokens, each = self.tokenizer.weighted([[Fragment(name)], *groups])
        states, mask, pooled = self._states(tokens.prompt, what)
        rest = [1.0] * (self.tokenizer.length - 1 - len(each))
        weights = (1.0, *each, *rest)
        context = emphasised(states, [weights], weighting, lambda: self._states("", what)[0][0])
        return Conditioning(context, mask[:, None, None], pooled)

    def taken(self, prompt: str, weighting: str) -> str | None:
        return self._name_for(self.tokenizer.weighted(read_weights(prompt, weighting))[0])

    @torch.no_grad()
    def _name_for(self, tokens: Tokens) -> str | None:
        """The name that comes nearest to what a prompt asks for in other words.

        None where no one name is likely, where the prompt has a name that may be meant, and where
        there is no room for another.
        """
        naming = self.text.naming
        room = self.tokenizer.length - 2 - len(tokens.ids)
        if naming is None or room < 1 or not words_in(tokens.prompt):
            return None
        ids = torch.tensor([self.tokenizer.encode(tokens.prompt)], device=self.device)
        mask = ids != self.tokenizer.pad
        states = self.text.bert(ids, mask)
        context, _ = self.text.adapter(states, mask)
        likely = naming(states, context, mask)[0].float().softmax(0)
        best = int(likely.argmax())
        if best == len(self.names) or likely[best] < _LIKELY:
            return None
        if any(likely[place] >= _MAY_BE for place in self._found.mentioned(tokens.prompt)):
            return None
        name = self.names[best]
        return name if len(self.tokenizer.read(f"{name}, ").ids) <= room else None

    def _states(self, text: str, what: str) -> tuple[Tensor, Tensor, Tensor]:
        """Token states (1, L, D), which of them are real (1, L), and the pooled vector (1, D)."""
        ids = torch.tensor([self.tokenizer.encode(text, what)], device=self.device)
        mask = ids != self.tokenizer.pad
        context, pooled = self.text(ids, mask)
        return context, mask, pooled
