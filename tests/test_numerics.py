"""The differences between the tools: each is named, pinned, and acts where it should."""

import math
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler

from sfumato.diffusion.noise import Noise
from sfumato.diffusion.process import Eps, Flow
from sfumato.diffusion.schedules import sigmas
from sfumato.diffusion.table import sampler_row
from sfumato.errors import RequestError
from sfumato.numerics import CHOICES, DIFFERENCES, LIKE, Numerics, first_scale, like, planned

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
TOP = Eps().sigma_max
WIDE = math.hypot(1, TOP)


def test_every_difference_is_told_once_with_its_source():
    assert [one.field for one in DIFFERENCES] == [field.name for field in fields(Numerics)]
    assert all(one.meaning.endswith(".") and one.source for one in DIFFERENCES)


def test_the_tools_differ_from_one_another_and_in_every_field():
    assert len(set(LIKE.values())) == len(LIKE)
    for field in fields(Numerics):
        assert len({getattr(numerics, field.name) for numerics in LIKE.values()}) > 1, field.name


def test_every_way_of_a_tool_may_be_chosen_and_every_choice_is_some_tools():
    for name, ways in CHOICES.items():
        assert {getattr(numerics, name) for numerics in LIKE.values()} == set(ways)


def test_a_tool_is_found_whatever_the_case_and_an_unknown_one_refused():
    assert like(" A1111 ") is LIKE["a1111"]
    with pytest.raises(RequestError, match="no tool 'invoke' to be like; known: sfumato, a1111"):
        like("invoke")


def test_samplers_are_named_canonically():
    for numerics in LIKE.values():
        for name in (*numerics.discard_penultimate, *(numerics.whole_times or ())):
            assert sampler_row(name).name == name


@pytest.mark.parametrize("name", LIKE)
def test_the_first_noise_is_scaled_as_the_tool_does(name):
    rule = like(name).first_noise
    expected = TOP if name in ("sfumato", "a1111") else WIDE
    assert first_scale(rule, TOP, 1.0, sigma_max=TOP) == expected
    near = TOP * (1 + 5e-6)
    assert first_scale(rule, near, 1.0, sigma_max=TOP) == pytest.approx(expected, rel=1e-5)
    assert first_scale(rule, 1.0, Flow().alpha(1.0), sigma_max=1.0) == 1.0
    # A run without a picture that begins lower, as on diffusers' leading times.
    below = math.hypot(1, 3) if name == "diffusers" else 3.0
    assert first_scale(rule, 3.0, 1.0, sigma_max=TOP) == below
    # From a picture, a part of the way and the whole.
    assert first_scale(rule, 3.0, 1.0, sigma_max=TOP, alone=False) == 3.0
    whole = WIDE if name == "comfy" else TOP
    assert first_scale(rule, TOP, 1.0, sigma_max=TOP, alone=False) == whole


def test_diffusers_scales_the_first_noise_so():
    stable = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    for steps in (1000, 15):
        scheduler = EulerDiscreteScheduler(**stable, timestep_spacing="leading", steps_offset=1)
        scheduler.set_timesteps(steps)
        top = float(scheduler.sigmas.max())
        mine = first_scale(like("diffusers").first_noise, top, 1.0, sigma_max=TOP)
        assert mine == pytest.approx(float(scheduler.init_noise_sigma), rel=1e-6)


def under(name, sampler, field):
    return like(name).under(sampler)[field]


def test_times_are_whole_where_the_tool_rounds_them():
    assert [under(name, "euler", "whole_times") for name in LIKE] == [False, False, True, False]
    assert [under(name, "dpmpp_2m", "whole_times") for name in LIKE] == [False, False, True, True]
    stable = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    for make, sampler in (
        (EulerDiscreteScheduler, "euler"),
        (DPMSolverMultistepScheduler, "dpmpp_2m"),
    ):
        scheduler = make(**stable, use_karras_sigmas=True)
        scheduler.set_timesteps(13)
        process = Eps(scheduler.alphas_cumprod)
        if under("diffusers", sampler, "whole_times"):
            process = process.with_whole_times()
        mine = [process.time(float(one)) for one in sigmas("karras", process, 13)[:-1]]
        assert mine == pytest.approx(scheduler.timesteps.tolist(), abs=2e-3)


def test_a_level_is_discarded_under_the_samplers_that_the_tool_names():
    found = [under(name, "dpm2", "discard_penultimate") for name in LIKE]
    assert found == [False, True, True, False]
    found = [under(name, "unipc_bh1", "discard_penultimate") for name in LIKE]
    assert found == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "steps", "strength", "expected"),
    [
        ("sfumato", 20, 0.75, (20, 15)),
        ("sfumato", 100, 0.29, (100, 29)),
        ("sfumato", 20, 0.01, (20, 0)),
        ("sfumato", 20, 1.0, (20, 20)),
        ("diffusers", 50, 0.8, (50, 40)),
        ("a1111", 20, 0.75, (20, 16)),
        ("a1111", 20, 1.0, (20, 20)),
        ("a1111", 20, 0.01, (20, 1)),
        ("comfy", 20, 0.5, (40, 20)),
        ("comfy", 20, 0.75, (26, 20)),
        ("comfy", 20, 1.0, (20, 20)),
    ],
)
def test_a_run_from_a_picture_makes_as_many_steps_as_in_the_tool(name, steps, strength, expected):
    assert planned(like(name).strength_steps, steps, strength) == expected


def test_the_steps_of_comfyui_have_noise_of_their_own():
    own = like("comfy").step_noise == "own"
    noise = Noise([5], (1, 2, 2), stream=like("comfy").stream, own_steps=own)
    generator = torch.Generator().manual_seed(6)  # seed + 1, on a CPU
    assert torch.equal(noise(1)[0], torch.randn(1, 2, 2, generator=generator))


def test_numerics_are_listed_without_torch():
    program = (
        "import sys, sfumato.numerics; "
        "sys.exit(any(name.split('.')[0] in ('torch', 'numpy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_is_heard_of_nothing_and_how_t5_is_padded_are_the_tools_own():
    def ways(field):
        return [getattr(like(name), field) for name in ("sfumato", "a1111", "comfy", "diffusers")]

    assert ways("empty_negative") == ["zeros", "all_zeros", "words", "zeros"]
    assert ways("t5_padding") == ["long", "clip", "short", "long"]
    assert ways("fixed_shift") == [False, True, True, False]
