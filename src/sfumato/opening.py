"""A model from its files: recognised, its parts found wherever they lie, loaded and put to use."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from sfumato.catalog import model_spec
from sfumato.errors import RequestError, WeightsError
from sfumato.families.ask import predicts
from sfumato.families.base import Family
from sfumato.families.flux import FluxModel
from sfumato.families.mini import Mini
from sfumato.families.sd import StableDiffusion
from sfumato.families.sd3 import StableDiffusion3
from sfumato.families.sdxl import StableDiffusionXL
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.shelves import Shelves
from sfumato.spec import ModelSpec, ProcessConfig, UNetConfig
from sfumato.text.t5 import FILES, T5Tokenizer
from sfumato.weights.detect import Inspection, recognise
from sfumato.weights.entries import Entry, Weights
from sfumato.weights.few import Few, guided, hurried
from sfumato.weights.files import open_weights
from sfumato.weights.hashes import digest, sha256
from sfumato.weights.load import Parts, load_parts
from sfumato.weights.named import named
from sfumato.weights.parts import Origins, absent, located, vocabulary

__all__ = ["FAMILIES", "Asked", "Found", "find", "load", "require_refines"]

# How a model of each family is used; the name is that of `ModelSpec.family`.
FAMILIES: Mapping[str, Callable[[ModelSpec, Parts], Family]] = {
    "mini": Mini,
    "sd": StableDiffusion,
    "sdxl": StableDiffusionXL,
    "sd3": StableDiffusion3,
    "flux": FluxModel,
}


@dataclass(frozen=True)
class Asked:
    """A model and, where they are to come from elsewhere, its parts: names, or paths.

    Among ``texts`` may be the file of T5's vocabulary, or the folder that it lies in.
    """

    model: str
    vae: str | None = None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """The files of a model, opened and recognised, nothing of them read yet.

    ``sure``: whether it is known what the model predicts. ``words`` is T5's vocabulary. ``few`` is
    how it is used if it was distilled for few steps.
    """

    name: str
    main: Weights
    spec: ModelSpec
    sure: bool
    origins: Origins
    words: Path | None
    few: Few | None = None

    @property
    def absent(self) -> tuple[str, ...]:
        """The optional parts that are nowhere, in words."""
        return absent(self.spec, self.origins.parts)

    @property
    def bytes_packed(self) -> int:
        """How much the parts' tensors take as they lie in the files."""
        parts = self.origins.parts.values()
        return sum(entry.bytes for part in parts for entry in part.entries())

    def types(self, dtype: torch.dtype) -> Mapping[str, torch.dtype]:
        """The precision of each part in memory, of a model that is wanted in one.

        bf16 has 8 bits of precision, as many as a finished pixel: the decoder needs more. And the
        values of some parts go beyond what fp16 can hold: a decoder is then kept in fp32, a reader
        of prompts in bf16, in which T5 was trained.
        """
        half = dtype == torch.float16
        exact = dtype == torch.bfloat16 or (half and not self.spec.vae.half)
        own = {"vae": torch.float32 if exact else dtype}
        own |= {p.name: torch.bfloat16 for p in self.spec.texts if half and not p.config.half}
        return {name: own.get(name, dtype) for name in self.origins.parts}

    def needs(self, dtype: torch.dtype) -> int:
        """Bytes that all parts take in memory in a precision; what is packed is unpacked."""
        return sum(entry.elements * own.itemsize for entry, own in self._loaded(dtype))

    def copies(self, dtype: torch.dtype) -> int:
        """The bytes among them that are copies: the others stay pages of the files (`Reader`),
        which the system lets go of where memory is short.
        """
        return sum(
            entry.elements * own.itemsize
            for entry, own in self._loaded(dtype)
            if entry.packing is not None or entry.dtype != str(own).removeprefix("torch.")
        )

    def _loaded(self, dtype: torch.dtype) -> Iterator[tuple[Entry, torch.dtype]]:
        """Every tensor, and what it is loaded as."""
        types = self.types(dtype)
        for name, part in self.origins.parts.items():
            yield from ((entry, types[name]) for entry in part.entries())

    def without_vae(self) -> "Found":
        """The same, whose autoencoder is not read, for another is there (`load`)."""
        others = {name: one for name, one in self.origins.parts.items() if name != "vae"}
        aside = (*self.origins.aside, self.origins.parts["vae"].table)
        return replace(self, origins=Origins(others, aside))

    def hashes(self, cache: Path | None) -> tuple[str, Mapping[str, str]]:
        """The sha256 of the model's own file, and of each part that lies elsewhere by its name."""
        apart = {
            name: digest(one.weights, cache)
            for name, one in self.origins.parts.items()
            if one.weights is not self.main
        }
        words = {} if self.words is None else {"tokenizer": sha256(self.words, cache)}
        return digest(self.main, cache), {**apart, **words}


def find(asked: Asked, shelves: Shelves) -> Found:
    """The files of what was asked for.

    Raises RequestError for what is not there, WeightsError for what is no model, or not all of one.
    """
    place = shelves.locate(asked.model)
    main = open_weights(place.path)
    vae = None if asked.vae is None else open_weights(shelves.locate(asked.vae, "vae").path)
    words, texts = _texts(asked.texts, shelves)
    spec, layout, said = _recognised(main, alone=vae is not None or bool(texts))
    origins = located(spec, layout, main, vae=vae, texts=texts)
    found = vocabulary(spec, origins, words)
    if words is not None and found is None:
        raise WeightsError(
            f"{words.name} is a vocabulary of T5, and no T5 reads for {place.name}. Leave it out."
        )
    sure = said.prediction is not None or spec.sibling is None
    return Found(place.name, main, spec, sure, origins, found, said.few)


def _texts(asked: tuple[str, ...], shelves: Shelves) -> tuple[Path | None, list[Weights]]:
    """T5's vocabulary among what was given to read prompts with, and the encoders."""
    words: Path | None = None
    texts: list[Weights] = []
    for each in asked:
        path = Path(each)
        files = [path, *(path / name for name in FILES)]
        own = next((file for file in files if file.name in FILES and file.is_file()), None)
        if own is None:
            texts.append(open_weights(shelves.locate(each, "text_encoder").path))
        elif words is None:
            words = own
        else:
            raise WeightsError(f"{own} and {words} are both vocabularies of T5. Give one of them.")
    return words, texts


def load(found: Found, dtype: torch.dtype, device: torch.device, vae: Vae | None = None) -> Family:
    """The model in memory, on its device; ``vae`` is that of a `Found.without_vae`.

    Raises WeightsError, before any tensor is read, where files and description do not fit.
    """
    spec, own = found.spec, found.types(dtype)
    t5 = None if found.words is None else T5Tokenizer(found.words)
    parts = load_parts(spec, found.origins, dtype, own, t5, vae).to(device)
    if not found.sure:
        assert isinstance(parts.denoiser, UNet)
        spec = hurried(_predicting(spec, predicts(parts.denoiser)), found.few)
    return FAMILIES[spec.family](spec, parts)


def require_refines(base: ModelSpec, refiner: ModelSpec) -> None:
    """Refuses a refiner that cannot go on where the base stops: other latents, or other levels.

    And one that takes its guidance as an input, which a request says of the base alone.
    """
    if refiner.defaults.distilled is not None and base.defaults.distilled is None:
        raise RequestError(
            f"{refiner.title} takes its guidance as an input, and {base.title} does not, so it "
            "cannot refine it. Give another refiner, or none."
        )
    if replace(refiner.vae, sketch=base.vae.sketch) != base.vae or _levels(refiner) != _levels(
        base
    ):
        raise RequestError(
            f"{refiner.title} cannot refine {base.title}: its latents, or its noise levels, are "
            "others. Give a refiner of the same kind, or none."
        )


def _levels(spec: ModelSpec) -> ProcessConfig:
    """The process, as far as it decides noise levels: those of eps and v are the same."""
    return spec.process if spec.process.kind == "flow" else replace(spec.process, kind="eps")


def _recognised(weights: Weights, *, alone: bool) -> tuple[ModelSpec, str, Inspection]:
    """The catalog's row for an opened file, with what it says of itself beyond that; its layout."""
    found = recognise(weights)
    name, layout = found.require(alone=alone)
    spec = model_spec(name)
    if found.prediction is not None and spec.process.kind != "flow":
        spec = _predicting(spec, found.prediction)
    if found.zero_snr:
        spec = replace(spec, process=replace(spec.process, zero_snr=True))
    own = guided(weights)
    if own is not None and isinstance(spec.denoiser, UNetConfig):
        spec = replace(spec, denoiser=replace(spec.denoiser, guided=own[1]))
    return named(hurried(spec, found.few), weights), layout, found


def _predicting(spec: ModelSpec, kind: Literal["eps", "v"]) -> ModelSpec:
    """The row of a model of this shape that predicts so."""
    if spec.process.kind == kind:
        return spec
    other = replace(spec, process=replace(spec.process, kind=kind))
    if spec.sibling is None:
        return other
    # Its sibling is used otherwise, and has another name; what the file itself said stays.
    return replace(model_spec(spec.sibling), denoiser=spec.denoiser, process=other.process)
