"""What there is to choose from: samplers and schedules."""

from __future__ import annotations

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
