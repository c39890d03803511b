"""Which file holds which part of a model: all in one, or some of them in files of their own.

A file that is given for a part comes before what the model's own file holds of it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfumato.errors import WeightsError
from sfumato.spec import ModelSpec, T5Config, TextConfig, TextPart, VaeConfig
from sfumato.text.t5 import FILES
from sfumato.weights.entries import Entry, Weights
from sfumato.weights.layouts import alone, tables
from sfumato.weights.layouts.table import Table

__all__ = ["Located", "Origins", "absent", "absent_from", "located", "vocabulary"]


@dataclass(frozen=True)
class Located:
    """Where a part lies: an opened file or folder, and what its tensors are called there."""

    weights: Weights
    table: Table

    def entries(self) -> Iterator[Entry]:
        """The part's tensors, and nothing else that its file may hold."""
        leads = tuple(lead for lead in self.table.prefixes if lead)
        own = [e for key, e in self.weights.entries.items() if leads and key.startswith(leads)]
        yield from own or self.weights.entries.values()


@dataclass(frozen=True)
class Origins:
    """Where each part of a model lies, by the names of `ModelSpec.parts`.

    An optional part that is nowhere is left out. ``aside`` are the tables of what the model's own
    file holds and another file was given for.
    """

    parts: Mapping[str, Located]
    aside: tuple[Table, ...] = ()


def located(
    spec: ModelSpec,
    layout: str,
    main: Weights,
    *,
    vae: Weights | None = None,
    texts: Sequence[Weights] = (),
) -> Origins:
    """Finds every part of a model, of which `main` holds the denoiser at least.

    Raises WeightsError for a part that is nowhere, and for a file that is no such part.
    """
    own = tables(layout, spec)
    given = {} if vae is None else {"vae": _as_part(vae, spec.vae, "VAE", spec)}
    for file in texts:
        name, table = _as_text(file, spec, given)
        given[name] = Located(file, table)
    held = {name: Located(main, table) for name, table in own.items() if _holds(main, table)}
    held["denoiser"] = Located(main, own["denoiser"])
    aside = tuple(own[name] for name in given if name in held)
    found = held | given
    optional = {part.name for part in spec.texts if part.optional}
    missing = [name for name in own if name not in found and name not in optional]
    if missing:
        raise WeightsError(
            f"{main.path.name} holds no {' and no '.join(map(_in_words, missing))} of "
            f"{spec.title}.\n  Give {_how(missing)}."
        )
    return Origins(found, aside)


def absent(spec: ModelSpec, held: Collection[str]) -> tuple[str, ...]:
    """The optional readers of prompts that are not among these parts, in words."""
    return tuple(_named(part) for part in spec.texts if part.optional and part.name not in held)


def absent_from(main: Weights, spec: ModelSpec, layout: str) -> tuple[str, ...]:
    """The same of a whole model's file or folder: what it paints without, unless given apart."""
    return absent(spec, [name for name, own in tables(layout, spec).items() if _holds(main, own)])


def _named(part: TextPart) -> str:
    """A reader of prompts as people know it: what came with T5 calls it so."""
    words = _in_words(part.name)
    return f"T5 ({words})" if isinstance(part.config, T5Config) else words


def _in_words(name: str) -> str:
    return name if name == "denoiser" else "VAE" if name == "vae" else name.replace("_", " ")


def _how(missing: Iterable[str]) -> str:
    ways = ["--vae FILE" if name == "vae" else "--text-encoder FILE" for name in missing]
    return " and ".join(ways)


def _holds(weights: Weights, table: Table) -> bool:
    """Whether a whole model's file has a part, by what leads its keys."""
    leads = tuple(lead for lead in table.prefixes if lead)
    return any(key.startswith(leads) for key in weights.entries)


# Of each part, a tensor of ours that every layout of it calls otherwise, or of another shape.
MARKS: Mapping[type, str] = {VaeConfig: "decoder.middle.0.norm1.weight"}
TOKENS = "token.weight"


def _fitting(weights: Weights, config: TextConfig | VaeConfig) -> Table | None:
    """The table by which a file of one part alone fits a description, or None."""
    mark = MARKS.get(type(config), TOKENS)
    for table in alone(config):
        for key in table.candidates(mark):
            entry = weights.entries.get(key)
            if entry is not None and entry.shape == _expected(config):
                return table
    return None


def _expected(config: TextConfig | VaeConfig) -> tuple[int, ...]:
    if isinstance(config, VaeConfig):
        return (config.channels[-1],)
    return config.vocab, config.width


def _as_part(weights: Weights, config: VaeConfig, what: str, spec: ModelSpec) -> Located:
    table = _fitting(weights, config)
    if table is None:
        raise WeightsError(
            f"{weights.path.name} is not a {what} of {spec.title}.\n"
            f"  See what it is: sfumato models inspect {weights.path.name}"
        )
    return Located(weights, table)


def _as_text(weights: Weights, spec: ModelSpec, given: Mapping[str, Located]) -> tuple[str, Table]:
    """The text encoder of a model that a file holds, and its names there."""
    fits = [(part.name, _fitting(weights, part.config)) for part in spec.texts]
    for name, table in fits:
        if table is None:
            continue
        if name in given:
            raise WeightsError(
                f"{weights.path.name} and {given[name].weights.path.name} are both the "
                f"{_in_words(name)} of {spec.title}. Give one of them."
            )
        return name, table
    wanted = " or ".join(_in_words(part.name) for part in spec.texts)
    raise WeightsError(
        f"{weights.path.name} is no text encoder of {spec.title}: expected its {wanted}.\n"
        f"  See what it is: sfumato models inspect {weights.path.name}"
    )


def vocabulary(spec: ModelSpec, origins: Origins, given: Path | None = None) -> Path | None:
    """The file of T5's vocabulary, where a model has a T5: the given one, or that beside it.

    Beside it is a folder called `tokenizer_3` as the encoder is called `text_encoder_3`, in the
    model's folder; or the encoder's own folder. Raises WeightsError where there is none.
    """
    part = next((p for p in spec.texts if isinstance(p.config, T5Config)), None)
    if part is None or part.name not in origins.parts:
        return None
    if given is not None:
        return given
    folder = part.name.replace("text_encoder", "tokenizer")
    file = origins.parts[part.name].weights.path
    homes = [file, file.parent] if file.is_dir() else [file.parent]
    for home in homes:
        for place in (home / folder, home):
            for name in FILES:
                if (place / name).is_file():
                    return place / name
    raise WeightsError(
        f"T5 reads prompts for {spec.title}, and its vocabulary is not beside {file.name}.\n"
        f"  Put the model's {folder} folder there, or give {' or '.join(FILES)} from it by "
        "--text-encoder."
    )
