"""What the Tab key offers for names: those that begin as the user has begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfumato.shelves import Role


def samplers(incomplete: str) -> list[tuple[str, str]]:
    """Names of samplers, with what A1111 calls them."""
    from sfumato.diffusion.table import SAMPLER_ROWS

    return [(r.name, r.title) for r in SAMPLER_ROWS if r.name.startswith(incomplete.lower())]


def schedules(incomplete: str) -> list[tuple[str, str]]:
    """Names of schedules, with what A1111 calls them."""
    from sfumato.diffusion.table import SCHEDULE_ROWS

    return [(r.name, r.title) for r in SCHEDULE_ROWS if r.name.startswith(incomplete.lower())]


def models(incomplete: str) -> list[tuple[str, str]]:
    """Names of models, with what each is."""
    return _on_shelves(incomplete, "model")


def everything(incomplete: str) -> list[tuple[str, str]]:
    """Names of models, their parts and add-ons, with what each is."""
    return _on_shelves(incomplete, None)


def vaes(incomplete: str) -> list[tuple[str, str]]:
    """Names of autoencoders, with what each is."""
    return _on_shelves(incomplete, "vae")


def text_encoders(incomplete: str) -> list[tuple[str, str]]:
    """Names of text encoders, with what each is."""
    return _on_shelves(incomplete, "text_encoder")


def _on_shelves(incomplete: str, role: Role | None) -> list[tuple[str, str]]:
    """Those whose name begins so, or its part behind the folder."""
    from sfumato.cli.configuration import shelves
    from sfumato.errors import ConfigError
    from sfumato.shelves import Shelves

    try:
        places = shelves()
    except ConfigError:  # told by every command; the Tab key has nowhere to tell it
        places = Shelves()
    begun = incomplete.lower()
    return [
        (item.name, item.kind)
        for item in places.items(role)
        if item.name.lower().startswith(begun) or item.last.lower().startswith(begun)
    ]
