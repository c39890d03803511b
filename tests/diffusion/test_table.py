"""The names: table and functions agree, and listing them costs no torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from sfumato.diffusion.samplers import SAMPLERS
from sfumato.diffusion.schedules import SCHEDULES
from sfumato.diffusion.table import (
    SAMPLER_ROWS,
    SCHEDULE_ROWS,
    check_wander,
    document,
    sampler_row,
    schedule_row,
    split_name,
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
        ("k_dpmpp_2s_a", "dpmpp_2s_ancestral"),
        ("DPM++ 3M SDE", "dpmpp_3m_sde"),
        ("uni_pc", "unipc_bh1"),
        ("PNDMScheduler", "plms"),
        ("res_multistep", "res_multistep"),
    ],
)
def test_a_sampler_is_found_by_any_of_its_names(asked, name):
    assert sampler_row(asked).name == name


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Karras", "karras"),
        ("uniform", "normal"),
        ("trailing", "simple"),
        ("Align Your Steps", "align_your_steps"),
    ],
)
def test_a_schedule_is_found_by_any_of_its_names(asked, name):
    assert schedule_row(asked).name == name


@pytest.mark.parametrize(
    ("asked", "sampler", "schedule"),
    [
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"),
        ("DPM++ 2M SDE Heun Karras", "dpmpp_2m_sde_heun", "karras"),
        ("DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", None),
        ("k_dpmpp_2m_ka", "dpmpp_2m", "karras"),
        ("dpmpp_2m_sgm_uniform", "dpmpp_2m", "sgm_uniform"),
        ("euler a sgm uniform", "euler_ancestral", "sgm_uniform"),
        ("LMS Karras ", "lms", "karras"),
        ("DDIM", "ddim", None),
        ("DPM++ 2M SDE", "dpmpp_2m_sde", None),
    ],
)
def test_an_old_double_name_is_a_sampler_and_a_schedule(asked, sampler, schedule):
    found = split_name(asked)
    assert found[0].name == sampler
    assert (found[1] and found[1].name) == schedule


def test_no_double_name_is_read_in_two_ways():
    for sampler in SAMPLER_ROWS:
        assert split_name(sampler.title) == (sampler, None)
        for schedule in SCHEDULE_ROWS:
            assert split_name(f"{sampler.title} {schedule.title}") == (sampler, schedule)
            assert split_name(f"{sampler.name}_{schedule.name}") == (sampler, schedule)


def test_a_double_name_with_an_unknown_half_is_refused():
    with pytest.raises(RequestError, match="unknown sampler 'DPM# 2M Karras'"):
        split_name("DPM# 2M Karras")
    with pytest.raises(RequestError, match="unknown sampler 'Karras'"):
        split_name("Karras")


def test_the_document_of_the_samplers_is_made_from_this_table():
    path = Path(__file__).parents[2] / "docs" / "samplers.md"
    assert path.read_text("utf-8") == document(), (
        "write it anew: python -c 'from sfumato.diffusion.table import document; "
        'open("docs/samplers.md", "w").write(document())\''
    )


def test_every_row_tells_an_artist_in_one_sentence_what_it_is_for():
    for row in (*SAMPLER_ROWS, *SCHEDULE_ROWS):
        assert row.summary.endswith(".")
        assert len(row.summary) <= 80
        assert row.source


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


@pytest.mark.parametrize("rows", [SAMPLER_ROWS, SCHEDULE_ROWS], ids=["samplers", "schedules"])
def test_a_name_is_found_however_its_words_are_parted(rows):
    find = sampler_row if rows is SAMPLER_ROWS else schedule_row
    for row in rows:
        for name in (row.name, row.title, *row.aliases):
            for gap in (" ", "_", "-", "  "):
                asked = gap.join(name.replace("_", " ").replace("-", " ").split())
                assert find(f" {asked.upper()} ") is row, asked


def test_names_with_spaces_are_those_that_people_type():
    assert schedule_row("ddim uniform").name == "ddim_uniform"
    assert schedule_row("SGM-Uniform").name == "sgm_uniform"
    assert sampler_row("euler ancestral").name == "euler_ancestral"
    assert sampler_row("dpmpp-2m-sde").name == "dpmpp_2m_sde"
    sampler, schedule = split_name("dpmpp 2m sgm uniform")
    assert (sampler.name, schedule and schedule.name) == ("dpmpp_2m", "sgm_uniform")
