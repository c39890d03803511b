"""What the Tab key offers for names: those that begin as the user has begun."""

from __future__ import annotations


def samplers(incomplete: str) -> list[tuple[str, str]]:
    """Names of samplers, with what A1111 calls them."""
    from sfumato.diffusion.table import SAMPLER_ROWS

    return [(r.name, r.title) for r in SAMPLER_ROWS if r.name.startswith(incomplete.lower())]


def schedules(incomplete: str) -> list[tuple[str, str]]:
    """Names of schedules, with what A1111 calls them."""
    from sfumato.diffusion.table import SCHEDULE_ROWS

    return [(r.name, r.title) for r in SCHEDULE_ROWS if r.name.startswith(incomplete.lower())]


def models(incomplete: str) -> list[tuple[str, str]]:
    """Names of models in the catalog, with their titles."""
    from sfumato.catalog import CATALOG

    return [(s.name, s.title) for s in CATALOG.values() if s.name.startswith(incomplete.lower())]
