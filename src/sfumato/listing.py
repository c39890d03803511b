"""What a model's tokenizers make of a request's prompts, told without the model's weights."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, TypeAlias

from sfumato.request import Request
from sfumato.shipped import shipped
from sfumato.spec import BertConfig, ClipConfig, ModelSpec, T5Config
from sfumato.text.clip import END, ClipTokenizer
from sfumato.text.prompt import Fragment, parse, read_weights
from sfumato.text.wordpiece import WordPieceTokenizer

__all__ = ["Chunk", "Heard", "Token", "Tokenizers", "first_alone", "listed", "networks", "unread"]

What: TypeAlias = Literal["prompt", "negative"]


@dataclass(frozen=True)
class Token:
    """One number that an encoder reads: what it stands for, and how much it is heard.

    ``ends`` where a word does. ``learnt`` for one of an embedding's vectors, with its name.
    """

    text: str
    id: int
    weight: float = 1.0
    ends: bool = True
    learnt: bool = False


@dataclass(frozen=True)
class Chunk:
    """What an encoder reads at once; ``room`` is how many tokens that may be."""

    tokens: tuple[Token, ...]
    room: int


@dataclass(frozen=True)
class Heard:
    """A text that is heard from a step on, counted from 1, and how an encoder reads it.

    ``weight`` is that of one of several joined by AND. ``beyond`` are the words that fall off, and
    ``unknown`` those that the encoder has no piece for: with either, the model refuses the prompt.
    """

    what: What
    step: int
    text: str
    weight: float
    encoders: tuple[str, ...]
    chunks: tuple[Chunk, ...]
    beyond: str = ""
    unknown: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """All tokens that are read."""
        return sum(len(chunk.tokens) for chunk in self.chunks)


class Tokenizers:
    """The tokenizers that come with sfumato, each built when it is needed first. For any thread."""

    @cached_property
    def clip(self) -> ClipTokenizer:
        """CLIP's, whose vocabulary takes a while."""
        return ClipTokenizer()

    @cached_property
    def _words(self) -> list[str]:
        return shipped("mini/vocabulary.txt").read_text("utf-8").splitlines()

    def bert(self, length: int) -> WordPieceTokenizer:
        """BERT's, for an encoder of this length."""
        return WordPieceTokenizer(self._words, length)


def listed(
    spec: ModelSpec,
    request: Request,
    learnt: Mapping[str, int],
    tokenizers: Tokenizers | None = None,
) -> list[Heard]:
    """Both prompts of a request as a model reads them, each text that is heard at some step.

    ``learnt`` holds the embeddings that are heard, and how many vectors each has. Encoders that
    read alike are told together. Who asks again and again gives the ``tokenizers``. Raises
    PromptError.
    """
    steps = spec.defaults.steps if request.steps is None else request.steps
    prompts: Mapping[What, str] = {"prompt": request.prompt, "negative": request.negative}
    readers = _readers(spec, learnt, Tokenizers() if tokenizers is None else tokenizers)
    return [
        Heard(what, step, text, weight, names, *read(read_weights(text, request.brackets)))
        for what, prompt in prompts.items()
        for step, text, weight in _stages(prompt, request.brackets, steps)
        for names, read in readers.items()
    ]


def networks(request: Request) -> tuple[str, ...]:
    """What the prompts want attached, which no words show: painting refuses it."""
    if request.brackets == "plain":
        return ()
    prompts = parse(request.prompt), parse(request.negative)
    return tuple(str(network) for prompt in prompts for network in prompt.networks)


def unread(spec: ModelSpec) -> tuple[str, ...]:
    """The encoders of a model whose tokenizer comes with its files and is not read here."""
    return tuple(part.name for part in spec.texts if isinstance(part.config, T5Config))


def first_alone(spec: ModelSpec) -> tuple[str, ...]:
    """The encoders of which a model hears the first chunk of a long prompt alone."""
    return tuple(part.name for part in spec.texts if part.pooled)


_Text: TypeAlias = Sequence[Sequence[Fragment]]
_Read: TypeAlias = tuple[tuple[Chunk, ...], str, tuple[str, ...]]  # chunks, beyond, unknown


def _stages(prompt: str, weighting: str, steps: int) -> Iterator[tuple[int, str, float]]:
    """The texts of a prompt with their weights, and the step from which each is heard."""
    if weighting == "plain":
        yield 1, prompt, 1.0
        return
    parsed = parse(prompt)
    for step in parsed.changes(steps):
        for text, weight in parsed.at(step, steps):
            yield step, text, weight


def _readers(
    spec: ModelSpec, learnt: Mapping[str, int], tokenizers: Tokenizers
) -> dict[tuple[str, ...], Callable[[_Text], _Read]]:
    """How the encoders read, by their names, those that read alike together."""
    found: dict[tuple[str, ...], Callable[[_Text], _Read]] = {}
    clips = {part.name: part.config for part in spec.texts if isinstance(part.config, ClipConfig)}
    if clips:
        length = next(iter(clips.values())).length
        by_clip = partial(_by_clip, tokenizers.clip, length, learnt)
        found[tuple(clips)] = partial(_first, by_clip) if first_alone(spec) else by_clip
    for part in spec.texts:
        if isinstance(part.config, BertConfig):
            found[(part.name,)] = partial(_by_bert, tokenizers.bert(part.config.length))
    return found


def _first(read: Callable[[_Text], _Read], text: _Text) -> _Read:
    """What is read of the first chunk."""
    chunks, beyond, unknown = read(text)
    return chunks[:1], beyond, unknown


def _by_clip(
    tokenizer: ClipTokenizer, length: int, learnt: Mapping[str, int], text: _Text
) -> _Read:
    names = [name for name, count in learnt.items() for _ in range(count)]
    chunks: list[Chunk] = []
    for chunk in tokenizer.weighted(text, length, learnt):
        tokens: list[Token] = []
        for number, weight in list(zip(chunk.ids, chunk.weights, strict=True))[1 : chunk.count + 1]:
            if number > END:
                tokens.append(Token(names[number - END - 1], number, weight, learnt=True))
            else:
                word, ends = tokenizer.word(number)
                tokens.append(Token(word, number, weight, ends))
        chunks.append(Chunk(tuple(tokens), length - 2))
    return tuple(chunks), "", ()


def _by_bert(tokenizer: WordPieceTokenizer, text: _Text) -> _Read:
    room = tokenizer.length - 2
    read, weights = tokenizer.weighted(text)
    words = [tokenizer.word(number) for number in read.ids]
    ends = [not after.startswith("##") for after in [*words[1:], ""]]
    tokens = [
        Token(word.removeprefix("##"), number, weight, end)
        for word, number, weight, end in zip(words, read.ids, weights, ends, strict=False)
    ]
    chunk = Chunk(tuple(tokens[:room]), room)
    return (chunk,), read.beyond(room), tokenizer.unreadable(read.prompt)
