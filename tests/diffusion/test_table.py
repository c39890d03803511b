"""The names: table and functions agree, and listing them costs no torch."""

import subprocess
import sys

import pytest

from sfumato.diffusion.samplers import SAMPLERS
from sfumato.diffusion.schedules import SCHEDULES
from sfumato.diffusion.table import (
    SAMPLER_ROWS,
    SCHEDULE_ROWS,
    check_wander,
    sampler_row,
    schedule_row,
)
from sfumato.errors import RequestError


def test_each_row_has_a_function_and_each_function_a_row():
    assert [row.name for row in SAMPLER_ROWS] == sorted(SAMPLERS)
    assert {row.name for row in SCHEDULE_ROWS} == set(SCHEDULES)


@pytest.mark.parametrize("rows", [SAMPLER_ROWS, SCHEDULE_ROWS], ids=["samplers", "schedules"])
def test_no_name_stands_for_two_rows(rows):
    names = [{row.name, row.title, *row.aliases} for row in rows]
    folded = [name.casefold() for group in names for name in {n.casefold() for n in group}]
    assert len(folded) == len(set(folded))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("euler_ancestral", "euler_ancestral"),
        ("Euler a", "euler_ancestral"),
        ("EULER A", "euler_ancestral"),
        ("k_dpmpp_2m", "dpmpp_2m"),
        ("DPM++ 2M SDE", "dpmpp_2m_sde"),
        ("UniPCMultistepScheduler", "unipc"),
        (" DDIM ", "ddim"),
    ],
)
def test_a_sampler_is_found_by_any_of_its_names(asked, name):
    assert sampler_row(asked).name == name


@pytest.mark.parametrize(
    ("asked", "name"), [("Karras", "karras"), ("uniform", "normal"), ("trailing", "simple")]
)
def test_a_schedule_is_found_by_any_of_its_names(asked, name):
    assert schedule_row(asked).name == name


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(RequestError, match=r"unknown sampler 'eular'; nearest: euler"):
        sampler_row("eular")
    with pytest.raises(RequestError, match=r"unknown schedule 'karas'; nearest: karras"):
        schedule_row("karas")
    with pytest.raises(RequestError, match=r"unknown sampler '@'; known: ddim, .*unipc"):
        sampler_row("@")


def test_only_samplers_that_draw_noise_may_wander():
    for row in SAMPLER_ROWS:
        if row.draws_noise:
            check_wander(row.title)
        else:
            with pytest.raises(RequestError, match=f"{row.name} draws no noise.*euler_ancestral"):
                check_wander(row.name)


def test_the_names_are_listed_without_torch():
    program = (
        "import sys, sfumato.diffusion.table; "
        "sys.exit(any(name.split('.')[0] in ('torch', 'numpy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
