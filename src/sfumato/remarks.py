"""What is told of a run beside its pictures, for it hinders nothing: sentences without an end.

The command line and the server say the same; each adds what its users can do about it.
"""

from collections.abc import Sequence

__all__ = ["NEGATIVE_UNHEARD", "called_otherwise", "lacking", "never_shown", "read_first"]

NEGATIVE_UNHEARD = "negative has no effect with guidance 1; give guidance above 1"


def never_shown(model: str | None, words: Sequence[str]) -> str:
    """That the model met these words of a prompt in no caption (`familiar.strange`)."""
    named = ", ".join(f'"{word}"' for word in words)
    return f"{model} was never shown {named}, and may paint something else"


def lacking(model: str | None, parts: Sequence[str]) -> str:
    """That the model paints without these readers of prompts (`weights.parts.absent`)."""
    return (
        f"{model} paints without its {' and '.join(parts)}, which its files do not hold, "
        "and hears less of the prompt"
    )


def read_first(model: str | None, names: Sequence[str]) -> str:
    """That the model takes a prompt for these, in its own words (`hearing.taken`)."""
    named = " and ".join(f'"{name}"' for name in names)
    return f"{model} takes this for {named}, and reads that first"


def called_otherwise(model: str | None) -> str:
    """The same, where nobody has asked the model yet what it takes the prompt for."""
    return (
        f"{model} calls nothing as this prompt does; where one of its own names comes near, it "
        "reads that first"
    )
