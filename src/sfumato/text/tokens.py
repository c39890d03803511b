"""What a tokenizer makes of a prompt, and how it says that a prompt is too long."""

from dataclasses import dataclass

from sfumato.errors import PromptError


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt's tokens, without the marks for begin and end, and where each starts in the prompt.

    `ids[i]` is the number of token i; `starts[i]` the position of its first character in `prompt`.
    """

    prompt: str
    ids: tuple[int, ...]
    starts: tuple[int, ...]

    def beyond(self, room: int) -> str:
        """The words of the prompt that a model with room for `room` tokens would not read."""
        if len(self.ids) <= room:
            return ""
        start = self.starts[room]
        # A word of which only the head fits is named whole.
        while start > 0 and not self.prompt[start - 1].isspace():
            start -= 1
        return self.prompt[start:].strip()

    def require(self, room: int, what: str = "prompt") -> None:
        """Raise PromptError, with the words that fall off, where the prompt does not fit.

        `what` is what the message calls it: prompt, or negative prompt.
        """
        if len(self.ids) <= room:
            return
        raise PromptError(
            f"The {what} has {len(self.ids)} tokens and this model reads {room}.\n"
            f'  These words fall off: "{self.beyond(room)}". Shorten the {what}.'
        )


def require_text(prompt: str) -> None:
    """Raise PromptError for a string that is not Unicode text (half of a surrogate pair)."""
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PromptError(
            f"The prompt is not valid Unicode text at character {error.start + 1}: "
            f"{prompt[error.start]!r}. Type it again, or save its source as UTF-8."
        ) from error
