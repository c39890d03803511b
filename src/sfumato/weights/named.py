"""Whether a model's file says what it calls things, and the description that follows from it."""

from dataclasses import replace

from sfumato.errors import WeightsError
from sfumato.spec import BertConfig, ModelSpec
from sfumato.text.names import names
from sfumato.weights.entries import Weights

__all__ = ["named"]

_NEAR = "naming.near.weight"  # (naming, looks times 2 width)


def named(spec: ModelSpec, weights: Weights) -> ModelSpec:
    """The row of a model, with the names that its file has; as it was where it has none.

    Raises WeightsError for names without the layers that choose among them, and the reverse.
    """
    if not any(isinstance(part.config, BertConfig) for part in spec.texts):
        return spec
    known = names(weights.metadata)
    found = (weights.entries.get(f"text{mark}{_NEAR}") for mark in "./")
    entry = next((each for each in found if each is not None and len(each.shape) == 2), None)
    if (entry is None) != (not known):
        got, lacks = ("names", "layers") if known else ("layers", "names")
        raise WeightsError(
            f"{weights.path.name} has the {got} by which a prompt is understood, and no {lacks} "
            "for them. Make the file again: sfumato train export"
        )
    if entry is None:
        return spec
    texts = tuple(
        replace(part, config=replace(part.config, names=known, naming=entry.shape[0]))
        if isinstance(part.config, BertConfig)
        else part
        for part in spec.texts
    )
    return replace(spec, texts=texts)
