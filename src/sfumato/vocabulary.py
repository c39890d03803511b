"""Which embeddings a request hears, of those that lie on this machine, and their files.

A request that leaves it open hears each that its prompts name; one that says it, as every recipe
does, hears those and no others, found again by their hashes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from sfumato.embedding import Embedding
from sfumato.errors import PromptError, RequestError
from sfumato.request import Request
from sfumato.text.learnt import Mention, mentions, unescaped, without_ending
from sfumato.text.prompt import parse
from sfumato.weights.hashes import sha256
from sfumato.weights.learnt import Learnt, open_learnt

__all__ = ["Taker", "Vocabulary", "Word", "agree", "asked_for"]


@dataclass(frozen=True)
class Word:
    """An embedding that is heard: what a recipe says of it, and its file, opened."""

    embedding: Embedding
    learnt: Learnt


@dataclass(frozen=True)
class Taker:
    """A model that hears embeddings: its name for messages, and its `ModelSpec.embeds`."""

    name: str
    embeds: Mapping[str, int]


class Vocabulary:
    """The embeddings that there are: (name on the shelves, file), by the names in prompts.

    Those are without folder and ending; a `learned_embeds` as diffusers writes it has the name of
    its folder. ``hashes`` remembers the sha256 of big files.
    """

    def __init__(self, files: Iterable[tuple[str, Path]], hashes: Path | None = None) -> None:
        self._files: dict[str, list[Path]] = {}
        self._names: dict[str, str] = {}  # as the first file of that name writes it
        for place, path in files:
            name = _name(place, path)
            key = _key(name)
            self._names.setdefault(key, name)
            self._files.setdefault(key, []).append(path)
        self._hashes = hashes

    def heard(self, request: Request, taker: Taker) -> tuple[Word, ...]:
        """What the prompts of a request name, in the order of first mention.

        Raises PromptError or RequestError for what is asked for and not there, WeightsError for a
        file that is no embedding, or one for another kind of model.
        """
        if not taker.embeds:
            _require_none(request, taker)
            return ()
        if request.embeddings is None:
            named = self._named(request, list(self._names.values()))
            return tuple(self._pick(Embedding(name), taker) for name in named)
        return tuple(self._pick(each, taker) for each in asked_for(request))

    def _named(self, request: Request, names: Sequence[str]) -> list[str]:
        found = _of(request, names)
        for mention in found:
            if mention.name is None:
                near = get_close_matches(mention.wanted, names, n=3, cutoff=0.5)
                hint = f" Did you mean {' or '.join(near)}?" if near else ""
                raise PromptError(
                    f"The prompt asks for the embedding {mention.wanted!r:.80}, and no folder of "
                    f"embeddings has it.{hint}\n  See which there are: sfumato models."
                )
        return list(dict.fromkeys(mention.name for mention in found if mention.name is not None))

    def _pick(self, wanted: Embedding, taker: Taker) -> Word:
        """The file of an embedding that the model takes; the one of its hash, if it has one."""
        files = self._files.get(_key(wanted.name), [])
        if wanted.sha256:
            own = [path for path in files if self._has(path, wanted.sha256)]
            files = own or [
                path
                for other in self._files.values()
                for path in other
                if path not in files and self._has(path, wanted.sha256)
            ]
        if not files:
            raise self._missing(wanted)
        opened = [
            open_learnt(path, self._names.get(_key(wanted.name), wanted.name)) for path in files
        ]
        fitting = {
            sha256(each.path, self._hashes): each for each in opened if each.fits(taker.embeds)
        }
        if not fitting:
            opened[0].require(taker.embeds, taker.name)
        if len(fitting) > 1:
            shown = " and ".join(f"{hash[:10]}…" for hash in fitting)
            raise RequestError(
                f"There are {len(fitting)} different embeddings named {wanted.name} that fit "
                f"{taker.name}: {shown}. Give one of the files another name."
            )
        ((digest, learnt),) = fitting.items()
        return Word(Embedding(learnt.name, digest), learnt)

    def _has(self, path: Path, sha: str) -> bool:
        return sha256(path, self._hashes).startswith(sha)

    def _missing(self, wanted: Embedding) -> RequestError:
        there = self._files.get(_key(wanted.name), [])
        what = f"the embedding {wanted.name!r:.80}"
        if there:
            other = sha256(there[0], self._hashes)
            return RequestError(
                f"The picture wants {what} of sha256 {wanted.sha256[:12]}…, and the one here has "
                f"{other[:12]}…. Put the other file into a folder of embeddings."
            )
        of = f" (sha256 {wanted.sha256[:12]}…)" if wanted.sha256 else ""
        return RequestError(
            f"The prompt wants {what}{of}, and no folder of embeddings has it.\n"
            "  Put the file into one, or see which there are: sfumato models."
        )


def _require_none(request: Request, taker: Taker) -> None:
    """Refuse what is asked for where the model takes none; names alone are words there."""
    asked = _of(request, [each.name for each in request.embeddings or ()])
    if asked and request.embeddings != ():
        raise PromptError(
            f"The prompt asks for the embedding {asked[0].wanted!r:.80}, and {taker.name} takes "
            "none. Leave it out, or have it read as plain words with --embeddings none."
        )


def asked_for(request: Request) -> tuple[Embedding, ...]:
    """Of the embeddings that a request lists, those that its prompts name, by first mention."""
    by_key = {_key(each.name): each for each in request.embeddings or ()}
    found = _of(request, [each.name for each in by_key.values()])
    known = dict.fromkeys(_key(each.name) for each in found if each.name is not None)
    return tuple(by_key[key] for key in known)


def agree(asked: Sequence[Embedding], got: Sequence[Embedding]) -> bool:
    """Whether these embeddings are those, whose hashes may be beginnings, or open."""
    return len(asked) == len(got) and all(
        _key(one.name) == _key(other.name) and other.sha256.startswith(one.sha256)
        for one, other in zip(asked, got, strict=True)
    )


def _of(request: Request, names: Sequence[str]) -> list[Mention]:
    """Where both prompts of a request name embeddings."""
    found: list[Mention] = []
    for prompt in (request.prompt, request.negative):
        plain = request.brackets == "plain"
        texts = (prompt,) if plain else map(unescaped, parse(prompt).texts)
        found += [mention for text in texts for mention in mentions(text, names)]
    return found


def _name(place: str, path: Path) -> str:
    name = without_ending(place.rpartition("/")[2])
    return path.parent.name if name.startswith("learned_embeds") else name


def _key(name: str) -> str:
    return " ".join(name.lower().split())
