"""What a training begins from: the networks of a model of the same make, or nothing."""

from pathlib import Path

import torch

from sfumato.catalog import MINI
from sfumato.errors import WeightsError
from sfumato.nn.vae import Vae
from sfumato.spec import ModelSpec
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import tables
from sfumato.weights.load import Parts, load_model
from sfumato.weights.named import named

__all__ = ["autoencoder_of", "parts_of"]


def parts_of(begin: Path, spec: ModelSpec = MINI) -> Parts:
    """The networks of a model's file. WeightsError for a model of another make."""
    weights = open_weights(begin)
    if weights.metadata.get("model") != spec.name:
        raise WeightsError(
            f"{begin} is no model of the make of {spec.name}, which is what is trained here.\n"
            f"  Begin from {spec.name}, from a model that this trainer made, or from nothing."
        )
    own = named(spec, weights)
    return load_model(weights, own, tables("sfumato", own), torch.float32)


def autoencoder_of(begin: Path, spec: ModelSpec = MINI) -> Vae:
    """The autoencoder of a model's file. WeightsError for a model of another make."""
    return parts_of(begin, spec).vae
