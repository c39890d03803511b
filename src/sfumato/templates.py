"""Prompts from templates: `{a|b}`, `{2$$a|b|c}`, `__wildcard__`, by the dynamicprompts package.

A template is only read where it is asked for, since braces and underscores are letters of prompts
as well. What a template says is that package's to define; here is what makes it safe to use: the
seed alone decides, no folder but the given one is read, and what is missing or endless is refused.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sfumato.errors import PromptError

if TYPE_CHECKING:
    from dynamicprompts.wildcards import WildcardManager

__all__ = ["combined", "drawn"]

LETTERS = 20_000  # of what a template may give
DEEP = 20  # braces in braces
_WILDCARD = re.compile(r"__(?=\S)((?:(?!__)[^{}#\n])+?)__")
_Found = TypeVar("_Found")


def drawn(template: str, seed: int, wildcards: Path | None = None) -> str:
    """The prompt that a template gives for a seed; always the same one, on every machine.

    ``wildcards`` is a folder of .txt files, whose lines `__name__` draws from. Raises PromptError.
    """
    from dynamicprompts.generators import RandomPromptGenerator

    manager = _manager(template, wildcards)
    if not template:
        return ""

    def draw() -> str:
        return RandomPromptGenerator(manager, seed=seed).generate(template)[0]

    return _checked(template, _asked(template, draw))


def combined(template: str, most: int, wildcards: Path | None = None) -> list[str]:
    """All prompts that a template can give, in its own order; PromptError for more than `most`."""
    from dynamicprompts.generators import CombinatorialPromptGenerator

    manager = _manager(template, wildcards)

    def combine() -> list[str]:
        return CombinatorialPromptGenerator(manager).generate(template, most + 1)

    found = list(islice((_checked(template, one) for one in _asked(template, combine)), most + 1))
    if len(found) > most:
        raise PromptError(
            f'The template "{template:.40}" gives more than {most} prompts; take fewer choices, or '
            "draw from them with --dynamic."
        )
    return found or [""]


def _manager(template: str, wildcards: Path | None) -> WildcardManager:
    from dynamicprompts.wildcards import WildcardManager

    if wildcards is not None and not wildcards.is_dir():
        raise PromptError(f"{wildcards} is no folder of wildcards; give one with .txt files in it.")
    depth = deepest = 0
    for letter in template:
        depth += (letter == "{") - (letter == "}")
        deepest = max(deepest, depth)
    if deepest > DEEP:
        raise PromptError(
            f"The template has braces {deepest} deep, and {DEEP} are read; write it more simply."
        )
    _quieten()
    manager = WildcardManager(wildcards)
    for match in _WILDCARD.finditer(template):
        name = match[1].strip("~!@")
        plain = not any(mark in name for mark in "$(*")  # a name by itself, without variables
        if plain and not manager.get_values(name):
            raise PromptError(_missing(name, manager))
    return manager


def _quieten() -> None:
    """What the package logs of a wildcard is refused in our words, and shown to nobody twice."""
    logger = logging.getLogger("dynamicprompts")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _missing(name: str, manager: WildcardManager) -> str:
    names = sorted(manager.get_collection_names())
    there = f"there are {', '.join(names[:5])}" if names else "give its folder with --wildcards"
    return f"No file of wildcards has the name {name:.60}; {there}."


def _asked(template: str, ask: Callable[[], _Found]) -> _Found:
    """What the package answers, or its complaint in our words."""
    from pyparsing import ParseBaseException

    try:
        with warnings.catch_warnings():  # "{!a|b}" is drawn from like any other where one is drawn
            warnings.simplefilter("ignore")
            return ask()
    except ParseBaseException as error:
        raise PromptError(
            f'The template "{template:.40}" cannot be read from character {error.loc + 1} on; '
            "a brace or a $$ is likely to be missing there."
        ) from error
    except RecursionError as error:
        raise PromptError(
            f'The template "{template:.40}" has no end: a wildcard or a variable names itself.'
        ) from error
    except (ValueError, KeyError) as error:
        reason = str(error.args[0]) if error.args else "a value is missing"
        raise PromptError(f'The template "{template:.40}" cannot be followed: {reason}.') from error


def _checked(template: str, prompt: str) -> str:
    left = _WILDCARD.search(prompt)
    if left is not None:
        raise PromptError(f"No file of wildcards has the name {left[1]:.60}.")
    if len(prompt) > LETTERS:
        raise PromptError(f'The template "{template:.40}" gives more than {LETTERS} letters.')
    return prompt
