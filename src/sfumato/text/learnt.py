"""Words that were learnt (textual inversion): where a text names them, and how.

An embedding is heard by the bare name of its file, as in AUTOMATIC1111; as `embedding:name`, as in
ComfyUI, with or without the file's ending; and as `<embedding:name>`. Capitals do not matter, and a
name is a whole word: `easynegative` is not heard in `uneasynegative`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["Mention", "mentions", "unescaped", "without_ending"]

ENDINGS = (".safetensors", ".pt", ".bin")
_EXPLICIT = r"<embedding:\s*([^<>]*?)\s*>|(?<!\w)embedding:([^\s,()\[\]{}<>:|]+)"
_ESCAPED = re.compile(r"\\([()\[\]\\])")


@dataclass(frozen=True)
class Mention:
    """Where a text names an embedding: its characters ``first`` to before ``last``.

    ``name`` is the known one. It is None, and ``wanted`` what was written, where an embedding is
    asked for that is not known.
    """

    first: int
    last: int
    name: str | None
    wanted: str


def mentions(text: str, names: Collection[str]) -> list[Mention]:
    """All places, in order, at which one of ``names`` is named, or some other is asked for.

    Where several begin at one place, the longest is meant.
    """
    known = {_key(name): name for name in names}
    bare = "".join(f"|{_word(name)}" for name in sorted(known, key=len, reverse=True) if name)
    found: list[Mention] = []
    for match in re.finditer(f"{_EXPLICIT}{bare}", text, re.IGNORECASE):
        wanted = next((group for group in match.groups() if group is not None), match[0])
        name = known.get(_key(wanted)) or known.get(_key(without_ending(wanted)))
        found.append(Mention(match.start(), match.end(), name, wanted))
    return found


def unescaped(text: str) -> str:
    """The text with the backslashes before its brackets taken away."""
    return _ESCAPED.sub(r"\1", text)


def _key(name: str) -> str:
    return " ".join(name.lower().split())


def _word(key: str) -> str:
    """The pattern of a name as a whole word, any white space for its spaces."""
    before = r"(?<!\w)" if re.match(r"\w", key) else ""
    after = r"(?!\w)" if re.search(r"\w$", key) else ""
    return before + re.escape(key).replace(r"\ ", r"\s+") + after


def without_ending(name: str) -> str:
    """A name without that of a kind of file."""
    ending = next((e for e in ENDINGS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)]
