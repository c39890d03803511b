"""The names of all samplers and schedules, with what the field calls them; needs no torch.

`sfumato.diffusion.samplers.SAMPLERS` and `sfumato.diffusion.schedules.SCHEDULES` hold one function
for each row; a test compares them both ways. `sfumato samplers`, the shell's completion and
docs/samplers.md are made from these rows too.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TypeVar

from sfumato.diffusion.rows import SAMPLER_ROWS, SCHEDULE_ROWS, SamplerRow, ScheduleRow
from sfumato.errors import RequestError
from sfumato.numerics import DIFFERENCES, LIKE

__all__ = [
    "SAMPLER_ROWS",
    "SCHEDULE_ROWS",
    "SamplerRow",
    "ScheduleRow",
    "check_wander",
    "document",
    "sampler_row",
    "schedule_row",
    "split_name",
]

Row = TypeVar("Row", SamplerRow, ScheduleRow)


def sampler_row(name: str) -> SamplerRow:
    """The row of a sampler, by our name, title or alias: case, and what parts words, do not matter.

    Raises RequestError with the nearest names where there is none.
    """
    return _find(name, SAMPLER_ROWS, "sampler")


def schedule_row(name: str) -> ScheduleRow:
    """The row of a schedule, by our name, title or alias; so too.

    Raises RequestError with the nearest names where there is none.
    """
    return _find(name, SCHEDULE_ROWS, "schedule")


def split_name(name: str) -> tuple[SamplerRow, ScheduleRow | None]:
    """The sampler and the schedule of a name that may hold both: "DPM++ 2M Karras".

    So A1111 named them before its version 1.9, and many recipes and programs still do; also
    `k_dpmpp_2m_ka` and `dpmpp_2m_karras`. The schedule is None where the name holds none.
    Raises RequestError with the nearest samplers for any other name.
    """
    samplers, schedules = _names(SAMPLER_ROWS), _names(SCHEDULE_ROWS)
    asked = _plain(name)
    if asked not in samplers:
        for end in sorted(schedules, key=len, reverse=True):
            sampler = samplers.get(asked.removesuffix(f"_{end}"))
            if sampler is not None:
                return sampler, schedules[end]
    return sampler_row(name), None


def check_wander(name: str) -> None:
    """Refuse noise of its own for the steps where the sampler draws none.

    Raises RequestError that names the samplers which do.
    """
    row = sampler_row(name)
    if not row.draws_noise:
        drawing = ", ".join(other.name for other in SAMPLER_ROWS if other.draws_noise)
        raise RequestError(
            f"the sampler {row.name} draws no noise in its steps, so it cannot wander; "
            f"choose one of: {drawing}"
        )


def document() -> str:
    """docs/samplers.md: both tables as Markdown."""
    lines = [
        "# Samplers and schedules",
        "",
        "A sampler decides how each step is taken, a schedule at which noise levels. Any name in",
        "the first three columns will do, in capitals or not, with spaces, hyphens or underscores;",
        "so will the old double names such as `DPM++ 2M Karras`. `sfumato samplers` prints this",
        "list.",
        "",
        "*Order*: halving the step divides the error by 2 to this power; 0 stands for samplers of",
        "distilled models. *Calls*: how often the network is asked in each step, which is what a",
        "step costs. *Noise*: whether steps draw fresh noise, so that `--wander` has an effect.",
        "",
        "| name | A1111 | also | order | calls | noise | what for | source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in SAMPLER_ROWS:
        noise = "yes" if row.draws_noise else "no"
        lines.append(
            f"| `{row.name}` | {row.title} | {_also(row)} | {row.order} | {row.calls} | {noise} "
            f"| {row.summary} | {row.source} |"
        )
    lines += [
        "",
        "`dpm_adaptive` asks three times for each step that it chooses itself. `plms` asks once",
        "more in its first step, and `restart` as often again as it has asked between sigma 2 and",
        "0.1. In a step that ends at noise 0, all ask once.",
        "",
        "| name | A1111 | also | what for | source |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row.name}` | {row.title} | {_also(row)} | {row.summary} | {row.source} |"
        for row in SCHEDULE_ROWS
    ]
    return "\n".join([*lines, *_LONG_STEPS, *_OWN_LEVELS, *_numerics(), ""])


# The figures are those of tests/diffusion/test_every_pair.py, on Gaussian data.
_LONG_STEPS = (
    "",
    "## Schedules for the multistep SDE samplers",
    "",
    "`dpmpp_2m_sde`, `dpmpp_2m_sde_heun` and `dpmpp_3m_sde` draw a line or a parabola through",
    "their last estimates. Where the last step above 0 is several times as long as those before",
    "it, as in `normal`, `ddim_uniform` and, on flow models, `kl_optimal`, they draw it out so far",
    "that the noise swells: with `normal` and 20 steps the variance of a picture is 1.5 to 12",
    "times what it should be. The formula is k-diffusion's, so A1111 and ComfyUI do the same (as",
    "does diffusers, whose own levels for flows end as `sgm_uniform` does, and so escape it), and",
    "it stays, that their pictures can be made again. Take `karras`, `simple` or `sgm_uniform`,",
    "with which it is right to 30 %, or `dpmpp_sde`, which looks at each step twice.",
)

_OWN_LEVELS = (
    "",
    "## Own noise levels",
    "",
    "`--sigmas 14.6,7,3,1` takes these levels, in place of a schedule and a number of steps; they",
    "fall to 0 by themselves. None may be above the model's own pure noise (14.6 for Stable",
    "Diffusion 1, 2 and XL, 1 for flows).",
    "",
    "## Models of few steps",
    "",
    "Weights that were distilled hold their guidance within, so that guidance 1 is right, at half",
    "the cost. sfumato takes a model for one of them by its keys (LCM), by its diffusers folder's",
    "scheduler (LCM, TCD), by the title in its header, by whom its folder comes from, or by its",
    "name; it says so, and by what, and then these are its defaults. `sfumato models inspect`",
    "shows the same. Where nothing says it, say it yourself.",
    "",
    "| weights | known by | steps | sampler | schedule |",
    "|---|---|---|---|---|",
    "| LCM | the key `time_embedding.cond_proj`, LCMScheduler, `LCM` | 4 | `lcm` | `lcm` |",
    "| TCD | TCDScheduler, `TCD` | 4 | `tcd` | `simple` |",
    "| Lightning | `lightning` | those in its name, else 4 | `euler` | `simple` |",
    "| Hyper-SD | `hyper-sd` | those in its name, else 8 | `ddim` | `simple` |",
    "| DMD2 | `dmd2` | those in its name, else 4 | `lcm` | `simple` |",
    "| Turbo | `turbo` | 4 | `euler_ancestral` | `simple` |",
    "| SD 3.5 Turbo | `turbo` | 4 | `euler` | `sgm_uniform` |",
    "",
    "SDXL Turbo itself (`sd_xl_turbo`) paints 512x512. An LCM with that key takes the strength of",
    "guidance as an input: `--distilled`, 8 where nobody says.",
    "",
    'Where the steps divide 1,000, `simple` is the spacing that diffusers calls "trailing".',
)


def _numerics() -> list[str]:
    """In which numbers the tools differ, as a section of `document`."""
    tools = [name for name in LIKE if name != "sfumato"]
    lines = [
        "",
        "## Like another program",
        "",
        f"`--like {'|'.join(tools)}` sets at once all numbers in which the programs differ.",
        "Each can be set by itself too, and stands by its own name in a picture's recipe.",
        "",
        f"| option | {' | '.join(LIKE)} | meaning | read in |",
        f"|---|{'---|' * len(LIKE)}---|---|",
    ]
    for each in DIFFERENCES:
        ways = " | ".join(_way(getattr(numerics, each.field)) for numerics in LIKE.values())
        option = f"`--{each.field.replace('_', '-')}`"
        lines.append(f"| {option} | {ways} | {each.meaning} | {each.source} |")
    return lines


def _way(value: str | bool | frozenset[str] | None) -> str:
    """What a tool does, in a cell: a word, or the samplers with which it says yes."""
    if isinstance(value, bool):
        return "always" if value else "never"
    if isinstance(value, str):
        return f"`{value}`"
    if not value:
        return "always" if value is None else "never"
    return "with " + ", ".join(f"`{name}`" for name in sorted(value))


def _also(row: SamplerRow | ScheduleRow) -> str:
    return ", ".join(f"`{alias}`" for alias in row.aliases)


def _names(rows: Sequence[Row]) -> dict[str, Row]:
    return {_plain(other): row for row in rows for other in (row.name, row.title, *row.aliases)}


def _plain(name: str) -> str:
    """A name as it is compared: "DDIM Uniform" and "ddim-uniform" are `ddim_uniform`."""
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())


def _find(name: str, rows: Sequence[Row], what: str) -> Row:
    known = _names(rows)
    row = known.get(_plain(name))
    if row is not None:
        return row
    near = get_close_matches(_plain(name), list(known), n=3, cutoff=0.5)
    names = dict.fromkeys(known[other].name for other in near)
    hint = f"nearest: {', '.join(names)}" if names else f"known: {', '.join(r.name for r in rows)}"
    raise RequestError(f"unknown {what} {name!r}; {hint}")
