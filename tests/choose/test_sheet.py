"""A sheet is planned whole before it is painted, and knows its pictures by their recipes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from sfumato.choose import Sheet, draw_sheet, parse_axis, plan_sheet, same_sheet
from sfumato.embedding import Embedding
from sfumato.errors import RequestError
from sfumato.limits import UPSCALER
from sfumato.recipe import Recipe
from sfumato.request import Request
from sfumato.request_json import from_dict, to_dict
from sfumato.source import Source
from tests.choose.recipes import RECIPE

FOX = Request("a red fox", seed=7)


def plan(*axes: str, request: Request = FOX, drawn: int = 99, typed: tuple[str, ...] = ()) -> Sheet:
    return plan_sheet(request, [parse_axis(axis) for axis in axes], lambda: drawn, typed)


def test_cells_go_row_by_row_and_sheet_by_sheet():
    sheet = plan("steps=4,8", "guidance=1,2,3", "seed=1..2")
    assert sheet.shape == (2, 3, 2)
    assert [cell.place for cell in sheet.cells[:3]] == [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    assert sheet.cells[-1].place == (1, 2, 1)
    request = sheet.cells[-1].request
    assert (request.steps, request.guidance, request.seed) == (8, 3.0, 2)
    assert sheet.cells[0].stem == "steps-4_guidance-1_seed-1"


def test_a_sheet_of_one_axis_is_a_row():
    assert plan("steps=4,8").shape == (2, 1, 1)


def test_all_cells_share_the_seed_that_is_drawn():
    sheet = plan("steps=4,8", request=Request("a fox"))
    assert {cell.request.seed for cell in sheet.cells} == {99}


def test_a_wander_and_a_variation_have_seeds_of_their_own_and_all_cells_the_same():
    wandering = Request("a fox", sampler="euler_ancestral", wander=True, variation_strength=0.2)
    cells = plan("steps=4,8", request=wandering).cells
    seeds = {(c.request.seed, c.request.path_seed, c.request.variation_seed) for c in cells}
    assert len(seeds) == 1
    assert len(set(seeds.pop())) == 3
    some = [
        plan("wander=no,yes", request=replace(wandering, wander=False, seed=7), drawn=n).cells
        for n in (1, 2)
    ]
    assert some[0][1].request.path_seed == some[1][1].request.path_seed == 8  # to go on with


def test_fields_that_need_each_other_may_stand_on_two_axes():
    cells = plan("variation_seed=1,2", "variation_strength=0,0.5").cells
    assert [(c.request.variation_seed, c.request.variation_strength) for c in cells] == [
        (1, 0.0), (2, 0.0), (1, 0.5), (2, 0.5),
    ]  # fmt: skip


def test_two_words_of_one_prompt_may_stand_on_two_axes():
    cells = plan("prompt:red=red,blue", "prompt:fox=fox,cat").cells
    assert [c.request.prompt for c in cells] == [
        "a red fox",
        "a blue fox",
        "a red cat",
        "a blue cat",
    ]


def test_cells_of_one_model_are_painted_together():
    sheet = plan("model=a.safetensors,b.safetensors", "steps=4,8")
    assert [cell.request.model for cell in sheet.order] == ["a.safetensors"] * 2 + [
        "b.safetensors"
    ] * 2


def test_labels_that_make_one_file_name_get_numbers():
    sheet = plan("prompt=a/b,a?b")
    assert [cell.stem for cell in sheet.cells] == ["prompt-a-b-1", "prompt-a-b-2"]
    assert all("/" not in cell.stem and ".." not in cell.stem for cell in plan("prompt=../x").cells)


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        (["steps=0"], "the cell of steps=0 cannot be: steps is 0"),
        (["sampler=eulr"], "the cell of sampler=eulr cannot be: unknown sampler 'eulr'"),
        (["schedule=karas"], "unknown schedule 'karas'"),
        (["size=60"], "the cell of size=60 cannot be: width is 60"),
        (["prompt:dog=cat"], "prompt does not hold 'dog'"),
        (["path_seed=1"], "path_seed 1 has no effect without wander"),
        (["steps=4", "steps=8"], "two axes change steps"),
        (["seed=1..200", "steps=1..200"], "would have 40000 pictures; at most 2000"),
        (["wander=yes", "sampler=ddim"], "ddim"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_painted(axes: list[str], reason: str):
    with pytest.raises(RequestError) as caught:
        plan(*axes)
    assert reason in str(caught.value)


def test_another_program_has_the_numerics_of_its_own():
    assert RECIPE.request.rounding is not None
    cells = plan("like=a1111,comfy", "rounding=truncate,round", request=RECIPE.request).cells
    assert {cell.request.rounding for cell in cells} == {"truncate", "round"}
    assert {cell.request.step_noise for cell in cells} == {None}  # not those of "sfumato"


def test_a_cell_is_one_picture():
    with pytest.raises(RequestError, match=r"take seed=1\.\.3"):
        plan("steps=4", request=replace(FOX, count=2))


def made(sheet: Sheet, **changes: object) -> bool:
    request = replace(RECIPE.request, **{"prompt": "a red fox", "seed": 7, "steps": 4, **changes})
    return sheet.cells[0].made(replace(RECIPE, request=request))


def test_a_cell_knows_its_picture_by_all_that_was_asked_for():
    sheet = plan("steps=4,8")
    assert made(sheet)
    assert made(sheet, guidance=3)  # the model's own, for nobody asked
    for other in ({"seed": 8}, {"steps": 8}, {"prompt": "a fox"}, {"rescale": 0.5}):
        assert not made(sheet, **other)
    named = plan("steps=4", request=replace(FOX, model="/models/v1-5.safetensors"))
    assert made(named, model="v1-5.safetensors")


@pytest.mark.parametrize(
    "more",
    [
        {"interval": (0.2, 4.0)},
        {"upscale": 2, "upscaler": UPSCALER},
        {"refiner": "finer.safetensors", "refiner_at": 0.8},
        {"vae": "mse.safetensors"},
        {"original_size": (512, 512)},
        {"variation_strength": 0.5, "variation_seed": 1},
        {"seed_width": 64, "seed_height": 64},
        {"image": Source.picture(Image.new("RGB", (64, 64))).reference, "strength": 0.5},
    ],
)
def test_a_picture_with_more_than_was_asked_for_is_not_the_cell_s(more: dict[str, Any]):
    assert not made(plan("steps=4"), **more)
    assert made(plan("steps=4", request=replace(FOX, **more)), **more)


def test_embeddings_are_those_that_were_listed_and_that_the_prompt_names():
    names = {"Red": "a", "fox": "b", "owl": "c"}
    red, fox, owl = (Embedding(name, 64 * digit) for name, digit in names.items())
    listed = (Embedding("owl"), Embedding("fox", "bbbbbbbb"), Embedding("red"))
    sheet = plan("steps=4", request=replace(FOX, embeddings=listed))
    assert made(sheet, embeddings=(red, fox))
    for others in ((), (red,), (red, fox, owl), (red, replace(fox, sha256="d" * 64))):
        assert not made(sheet, embeddings=others)
    assert not made(plan("steps=4", request=replace(FOX, embeddings=())), embeddings=(red,))


def test_files_may_be_called_otherwise_for_their_sha256_decide():
    files = {"refiner": "/models/finer.safetensors", "refiner_at": 0.8, "vae": "mse"}
    others = {"refiner": "finer.safetensors", "vae": "mse.safetensors", "refiner_at": 0.8}
    asked = replace(FOX, model="v1-5", text_encoders=("/models/t5",), **files)
    assert made(plan("steps=4", request=asked), text_encoders=("t5",), **others)
    assert not made(plan("steps=4", request=asked), **others)


def test_what_a_sheet_is_made_of_is_plain_json():
    sheet = plan("steps=4,8", "prompt:red=red,blue")
    told = json.loads(json.dumps(sheet.to_dict()))
    assert from_dict(told["request"]) == sheet.base
    assert told["axes"][1] == {"field": "prompt", "needle": "red", "values": ["red", "blue"]}
    assert same_sheet(told, sheet) == []
    assert same_sheet(told, plan("steps=4", request=replace(FOX, negative="x"))) == ["negative"]
    assert same_sheet({}, sheet) == ["everything"]
    del told["request"]["rescale"]  # as a version wrote it that had no such field
    assert same_sheet(told, sheet) == []
    told["request"]["seed"] = "many"
    assert same_sheet(told, sheet) == ["everything"]


def test_a_sheet_that_is_shown_to_others_does_not_say_where_files_lie():
    files = {"model": "/home/me/fox.ckpt", "vae": "C:\\vae\\a.pt", "refiner": "~/b.ckpt"}
    asked = replace(FOX, **files, text_encoders=("/t/t5.gguf",))
    sheet = plan("upscaler=/up/c.pth,/up/d.pth", request=replace(asked, upscale=2))
    told = json.dumps(sheet.to_dict())
    assert not any(sign in told.replace("\\n", "") for sign in ("/", "\\", "~"))
    assert same_sheet(json.loads(told), sheet) == []
    old = {"request": to_dict(sheet.base)}  # as versions wrote it that had the folders in it
    assert same_sheet(old, sheet) == []
    assert sheet.axes[0].labels == ("c.pth", "d.pth")
    assert [cell.request.upscaler for cell in sheet.cells] == ["/up/c.pth", "/up/d.pth"]
    assert parse_axis("model=a/fox,b/fox").labels == ("a/fox", "b/fox")  # told apart by these


def test_a_sheet_is_drawn_with_frames_for_what_is_not_there_yet():
    sheet = plan("steps=4,8", "guidance=1,2")
    red = Image.new("RGB", (96, 96), "red")
    part = draw_sheet(sheet, {sheet.cells[0]: red})
    whole = draw_sheet(sheet, dict.fromkeys(sheet.cells, red))
    assert part.size == whole.size
    reds = [dict(map(reversed, one.getcolors(9999)))[255, 0, 0] for one in (part, whole)]
    assert reds[1] == 4 * reds[0] > 4 * 9000


def test_labels_change_what_is_drawn_and_any_script_is_drawn_without_boxes():
    red = Image.new("RGB", (96, 96), "red")
    sheets = [plan("prompt=fox,cat"), plan("prompt=fox,dog"), plan("prompt=狐,猫")]
    drawn = [draw_sheet(s, dict.fromkeys(s.cells, red)).tobytes() for s in sheets]
    assert len(set(drawn)) == 3


def test_a_recipe_of_a_sheet_is_none_of_a_picture():
    from sfumato.errors import PictureError

    text = json.dumps({"format": 1, "sheet": plan("steps=4").to_dict()})
    with pytest.raises(PictureError, match="it is a sheet of several pictures"):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("axis", "given", "cells"),
    [
        ("like=sfumato,a1111", {"weighting": "plain"}, ["plain", "plain"]),
        ("wander=yes,no", {"path_seed": 5, "wander": True}, [5, None]),
        ("guidance_rule=apg,cfg", {"apg_along": 0.5, "guidance_rule": "apg"}, [0.5, 0.0]),
    ],
)
def test_what_was_typed_stays_in_each_cell_where_it_has_an_effect(
    axis: str, given: dict[str, Any], cells: list[object]
):
    sheet = plan(axis, request=replace(FOX, **given), typed=tuple(given))
    field = next(iter(given))
    assert [getattr(cell.request, field) for cell in sheet.cells] == cells


@pytest.mark.parametrize("axis", ["steps=4,8", "schedule=karras,simple"])
def test_an_axis_is_refused_that_own_noise_levels_leave_no_room_for(axis: str):
    request = replace(FOX, sigmas=(1.0, 0.5))
    with pytest.raises(RequestError, match=r"cannot be: .*sigmas"):
        plan(axis, request=request, typed=("sigmas",))
    assert {cell.request.sigmas for cell in plan(axis, request=request).cells} == {None}
