"""What there is to choose from: samplers and schedules, models, and what a model file is."""

from __future__ import annotations

from pathlib import Path

from sfumato.cli.screen import columns, say


def samplers() -> None:
    """Print the samplers, what each costs, whether it can wander and what it is for; schedules."""
    from sfumato.diffusion.table import SAMPLER_ROWS, SCHEDULE_ROWS

    columns(
        [
            (r.name, r.title, str(r.calls), "yes" if r.draws_noise else "no", r.summary)
            for r in SAMPLER_ROWS
        ],
        head=("sampler", "elsewhere", "calls a step", "wanders", "what for"),
    )
    say()
    columns(
        [(r.name, r.title, r.summary) for r in SCHEDULE_ROWS],
        head=("schedule", "elsewhere", "what for"),
    )


def models() -> None:
    """Print the catalog: what is bundled and what a file can be."""
    from sfumato.catalog import CATALOG

    columns(
        [
            (
                spec.name,
                spec.title,
                f"{spec.defaults.width} x {spec.defaults.height}",
                "yes" if spec.asset is not None else "give a file",
            )
            for spec in CATALOG.values()
        ],
        head=("model", "", "size", "bundled"),
    )


def inspect(path: Path) -> None:
    """Print what a model file is, and the evidence; raises `WeightsError` if it is none."""
    from sfumato.weights.detect import inspect as look

    found = look(path)
    opens = f"as {found.spec_name}" if found.spec_name else "not by this version"
    rows = [
        ("file", str(path)),
        ("kind", found.kind),
        ("opens", opens),
        ("layout", found.layout or "unknown"),
        ("precision", found.precision),
        ("holds", f"{found.tensors:,} tensors, {found.parameters:,} numbers, {_size(found.bytes)}"),
    ]
    rows += [("because" if i == 0 else "", line) for i, line in enumerate(found.evidence)]
    columns(rows)


def _size(count: int) -> str:
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:.2f} {name}"
    return f"{count} bytes"
