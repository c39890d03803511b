"""The language in which users write prompts: weights, changes on the way, and several at once.

It is AUTOMATIC1111's, which most prompts in circulation are written in:

    (word:1.2) (word) [word]     heard more, or less; 1.1 times a pair, 1 / 1.1 a square one
    [from:to:0.5] [to:5] [from::9]   another text from a share of the steps on, or from a step on
    [one|other]                  one in the odd steps, the other in the even ones
    one AND other:0.5            two prompts at once, each with its own guidance
    BREAK                        begin a new chunk of tokens
    <lora:name:0.8>              a network to attach; never read as words
    <embedding:name>             words that were learnt: see `text.learnt`

A backslash before a bracket, or before another backslash, makes it a plain character.

What is never closed is only a character, except that an open bracket still weighs all that follows,
as there. `parse` loses nothing: `str(parse(text)) == text`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeAlias

import numpy as np

from sfumato.errors import PromptError

__all__ = [
    "Branch",
    "Cycle",
    "Fragment",
    "Group",
    "Network",
    "Prompt",
    "Swap",
    "fragments",
    "parse",
    "read_weights",
]

ROUND, SQUARE = 1.1, 1 / 1.1
_MOST_BRACKETS = 10_000  # around the same words: as many as a server takes letters
_DEPTH = 64  # brackets deeper than this only weigh; nobody writes such a change on the way
_NETWORK = re.compile(r"<(\w+):([^<>]+)>")
_AND = re.compile(r"\bAND\b")
# Longer numbers are text: nobody means them, and they would end beyond what a number can hold.
_NUMBER = r"[-+]?(?:\d{1,9}\.?\d{0,18}|\.\d{1,18})"
# A run of spaces is tried from its first one only, or long runs would take quadratic time.
_WEIGHT = re.compile(rf"(?<!\s)\s*:\s*({_NUMBER})\s*$")
_WHEN = re.compile(rf"\s*{_NUMBER}\s*")
_BREAK = re.compile(r"(?:(?<!\s)\s+)?\bBREAK\b\s*")
_CLOSE_WEIGHTED = re.compile(rf":\s*({_NUMBER})\s*\)")


@dataclass(frozen=True)
class Network:
    """`<kind:name:argument:…>`: a LoRA or the like, by the name of its file; or an embedding."""

    kind: str
    arguments: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.arguments[0]

    @property
    def heard(self) -> bool:
        """Whether it is read among the words, as an embedding is, rather than attached."""
        return self.kind == "embedding"

    def __str__(self) -> str:
        return f"<{self.kind}:{':'.join(self.arguments)}>"


@dataclass(frozen=True)
class Group:
    """A pair of brackets that only weighs what is in it."""

    opening: str
    nodes: Nodes

    def __str__(self) -> str:
        return self.around(_text(self.nodes))

    def around(self, text: str) -> str:
        """Other text in the same brackets."""
        return f"({text})" if self.opening == "(" else f"[{text}]"


@dataclass(frozen=True)
class Swap:
    """`[before:after:when]`; without `before`, `after` joins late.

    ``when`` is kept as written: with a point it is a share of the steps, else a number of steps.
    """

    before: Nodes | None
    after: Nodes
    when: str

    def __str__(self) -> str:
        lead = "" if self.before is None else f"{_text(self.before)}:"
        return f"[{lead}{_text(self.after)}:{self.when}]"

    def last(self, steps: int) -> int:
        """The last step, from 1, that still sees `before`."""
        number = float(self.when)
        return min(steps, int(number * steps if "." in self.when else number))


@dataclass(frozen=True)
class Cycle:
    """`[one|other|…]`: one text a step, in turn."""

    options: tuple[Nodes, ...]

    def __str__(self) -> str:
        return f"[{'|'.join(map(_text, self.options))}]"


Node: TypeAlias = "str | Network | Group | Swap | Cycle"
Nodes: TypeAlias = "tuple[Node, ...]"


@dataclass(frozen=True)
class Branch:
    """One of the prompts that AND joins; ``tail`` is its weight as written, with its colon."""

    nodes: Nodes
    tail: str = ""

    @property
    def weight(self) -> float:
        found = _WEIGHT.fullmatch(self.tail)
        return 1.0 if found is None else float(found[1])

    def __str__(self) -> str:
        return f"{_text(self.nodes)}{self.tail}"


@dataclass(frozen=True)
class Prompt:
    """A prompt that was understood."""

    branches: tuple[Branch, ...]

    def __str__(self) -> str:
        return "AND".join(map(str, self.branches))

    @property
    def networks(self) -> tuple[Network, ...]:
        """Every network to attach, in order."""
        found = (node for branch in self.branches for node in _leaves(branch.nodes))
        return tuple(node for node in found if isinstance(node, Network) and not node.heard)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every piece of text that is heard at one step or another, its brackets left out."""
        found = (node for branch in self.branches for node in _leaves(branch.nodes))
        return tuple(str(node) for node in found if isinstance(node, str) or node.heard)

    def at(self, step: int, steps: int) -> tuple[tuple[str, float], ...]:
        """What is heard at a step, counted from 1 to `steps`: each branch's text and weight.

        The text still has its weights and BREAKs: see `fragments`.
        """
        return tuple((_at(b.nodes, step, steps).strip(), b.weight) for b in self.branches)

    def changes(self, steps: int) -> tuple[int, ...]:
        """The steps, from 1, at which a text is heard that was not heard at the step before."""
        heard = [self.at(step, steps) for step in range(1, steps + 1)]
        return tuple(i + 1 for i in range(steps) if i == 0 or heard[i] != heard[i - 1])


@dataclass(frozen=True)
class Fragment:
    """A piece of text and how much it is heard; 1 is as it is."""

    text: str
    weight: float = 1.0


def parse(text: str) -> Prompt:
    """Understand a prompt. Nothing is refused: what is no notation is text."""
    parts = _AND.split(text)
    if len(parts) == 1:  # a colon and a number at the end of a lone prompt are words
        return Prompt((Branch(_nodes(text)),))
    return Prompt(tuple(map(_branch, parts)))


def fragments(text: str) -> tuple[tuple[Fragment, ...], ...]:
    """The weights of a text without changes on the way, one group of fragments for each BREAK.

    Neighbours of one weight are joined. An open bracket without its end weighs all that follows;
    an end without its beginning is a character. Raises PromptError for more than 10,000 brackets
    around the same words.
    """
    pieces, spans = _weighed(text)
    groups: list[list[Fragment]] = [[]]
    # Brackets with nothing between them have no words to weigh, and cost nothing.
    place = list(accumulate((piece != "" for piece in pieces), initial=0))
    pieces = [piece for piece in pieces if piece]
    depth = np.zeros(len(pieces) + 1, dtype=np.int64)
    for first, last, _ in spans:
        depth[place[first]] += 1
        depth[place[last]] -= 1
    deepest = int(depth.cumsum().max())
    if deepest > _MOST_BRACKETS:  # the time below grows with their number
        raise PromptError(
            f"{deepest:,} brackets are around the same words, and {_MOST_BRACKETS:,} are the most. "
            "Take some of them away, or close them."
        )
    weights = np.ones(len(pieces))
    with np.errstate(over="ignore"):  # who reads the weights tells of one without end
        for first, last, factor in spans:
            weights[place[first] : place[last]] *= factor
    for piece, weight in zip(pieces, weights.tolist(), strict=True):
        for n, part in enumerate(_BREAK.split(piece)):
            if n > 0:
                groups.append([])
            _append(groups[-1], part, weight)
    return tuple(tuple(group) for group in groups)


def read_weights(text: str, weighting: str) -> tuple[tuple[Fragment, ...], ...]:
    """A text in groups of fragments: weighed, or as it stands where brackets are only letters.

    Raises PromptError where brackets in brackets weigh more than a number can say.
    """
    if weighting == "plain":
        return ((Fragment(text),),)
    groups = fragments(text)
    for piece in (piece for group in groups for piece in group):
        if not math.isfinite(piece.weight):
            raise PromptError(
                f'The brackets around "{piece.text.strip():.40}" weigh it without end. '
                "Take some of them away."
            )
    return groups


def _append(group: list[Fragment], text: str, weight: float) -> None:
    if group and group[-1].weight == weight:
        group[-1] = Fragment(group[-1].text + text, weight)
    elif text:
        group.append(Fragment(text, weight))


def _weighed(text: str) -> tuple[list[str], list[tuple[int, int, float]]]:
    """Pieces of text, and (first, behind the last, factor) of each bracket over them."""
    pieces: list[str] = []  # those that have ended; the letters of the next one:
    letters: list[str] = []
    spans: list[tuple[int, int, float]] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def end() -> int:
        """End a piece; the number of the next one."""
        pieces.append("".join(letters))
        letters.clear()
        return len(pieces)

    i = 0
    while i < len(text):
        char, width = text[i], 1
        closing = _CLOSE_WEIGHTED.match(text, i) if char == ":" and opened["("] else None
        if char == "\\" and text[i + 1 : i + 2] in ("(", ")", "[", "]", "\\"):
            letters.append(text[i + 1])
            width = 2
        elif char in opened:
            opened[char].append(end())
        elif closing is not None:
            spans.append((opened["("].pop(), end(), float(closing[1])))
            width = len(closing[0])
        elif char == ")" and opened["("]:
            spans.append((opened["("].pop(), end(), ROUND))
        elif char == "]" and opened["["]:
            spans.append((opened["["].pop(), end(), SQUARE))
        else:
            letters.append(char)
        i += width
    last = end()
    for opening, factor in (("(", ROUND), ("[", SQUARE)):
        spans += [(first, last, factor) for first in opened[opening]]
    return pieces, spans


# ---- the tree ---------------------------------------------------------------------------------


def _branch(text: str) -> Branch:
    found = _WEIGHT.search(text)
    if found is None:
        return Branch(_nodes(text))
    return Branch(_nodes(text[: found.start()]), found[0])


def _nodes(text: str) -> Nodes:
    return _sequence(text, _matches(text), 0, len(text))


def _matches(text: str) -> dict[int, int]:
    """Where each bracket that is closed properly ends. Time grows with the text's length alone."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    i = 0
    while i < len(text):
        network = _NETWORK.match(text, i) if text[i] == "<" else None
        if network is not None:
            ends[i] = network.end() - 1
            i = network.end()
            continue
        if text[i] == "\\":
            i += 1  # the next character is no bracket
        elif text[i] in "([":
            opened.append(i)
        elif text[i] in ")]" and opened and text[opened[-1]] == ("(" if text[i] == ")" else "["):
            start = opened.pop()
            if len(opened) < _DEPTH:
                ends[start] = i
        i += 1
    return ends


def _sequence(text: str, ends: dict[int, int], first: int, last: int) -> Nodes:
    """The nodes of text[first:last]; characters that mean nothing join into one text."""
    nodes: list[Node] = []
    plain = first
    i = first
    while i < last:
        end = ends.get(i, last)
        if end >= last:
            i += 2 if text[i] == "\\" else 1
            continue
        if plain < i:
            nodes.append(text[plain:i])
        nodes.append(_bracket(text, ends, i, end))
        plain = i = end + 1
    if plain < last:
        nodes.append(text[plain:last])
    return tuple(nodes)


def _bracket(text: str, ends: dict[int, int], start: int, end: int) -> Node:
    if text[start] == "<":
        kind, _, rest = text[start + 1 : end].partition(":")
        return Network(kind, tuple(rest.split(":")))
    if text[start] == "[":
        marks = _marks(text, ends, start + 1, end)
        colons = [i for i in marks if text[i] == ":"]
        if 1 <= len(colons) <= 2 and _WHEN.fullmatch(text, colons[-1] + 1, end):
            before = None if len(colons) == 1 else _sequence(text, ends, start + 1, colons[0])
            begin = start + 1 if len(colons) == 1 else colons[0] + 1
            after = _sequence(text, ends, begin, colons[-1])
            return Swap(before, after, text[colons[-1] + 1 : end])
        if marks and not colons:
            edges = [start, *marks, end]
            return Cycle(tuple(_sequence(text, ends, a + 1, b) for a, b in pairwise(edges)))
    return Group(text[start], _sequence(text, ends, start + 1, end))


def _marks(text: str, ends: dict[int, int], first: int, last: int) -> list[int]:
    """Where colons and bars stand in text[first:last], outside of inner brackets."""
    found: list[int] = []
    i = first
    while i < last:
        if i in ends and ends[i] < last:
            i = ends[i]
        elif text[i] == "\\":
            i += 1
        elif text[i] in ":|":
            found.append(i)
        i += 1
    return found


def _text(nodes: Sequence[Node]) -> str:
    return "".join(map(str, nodes))


def _at(nodes: Sequence[Node], step: int, steps: int) -> str:
    return "".join(_one_at(node, step, steps) for node in nodes)


def _one_at(node: Node, step: int, steps: int) -> str:
    match node:
        case str():
            return node
        case Network():
            return str(node) if node.heard else ""
        case Group():
            return node.around(_at(node.nodes, step, steps))
        case Swap():
            before = () if node.before is None else node.before
            return _at(before if step <= node.last(steps) else node.after, step, steps)
        case Cycle():
            return _at(node.options[(step - 1) % len(node.options)], step, steps)


def _leaves(nodes: Sequence[Node]) -> list[str | Network]:
    """The pieces of text, and the networks, in order."""
    found: list[str | Network] = []
    for node in nodes:
        match node:
            case str() | Network():
                found.append(node)
            case Group():
                found += _leaves(node.nodes)
            case Swap():
                found += _leaves((*(node.before or ()), *node.after))
            case Cycle():
                for option in node.options:
                    found += _leaves(option)
    return found
