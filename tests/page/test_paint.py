"""A picture on the page: asked for, watched, cancelled, found again, and shown step by step."""

import os
import re
from typing import NoReturn

import pytest
from playwright.sync_api import Page, expect

from sfumato.server.worker import HINDERED
from tests.page.acts import finished, make, paint, stored
from tests.page.conftest import Witness


def test_a_newcomer_gets_a_picture_with_one_click(page: Page) -> None:
    page.locator("#paint").click()
    expect(finished(page)).to_have_text("a red fox, 3d")
    image = page.locator(".easel-image")
    expect(image).to_have_attribute("alt", "a red fox, 3d")
    assert image.evaluate("node => [node.naturalWidth, node.naturalHeight]") == [128, 128]


def test_an_example_on_the_empty_stage_is_painted_by_a_click(page: Page) -> None:
    page.locator(".chip", has_text="an octopus, neon").click()
    expect(finished(page)).to_have_text("an octopus, neon")


def test_the_picture_comes_out_of_the_noise_while_it_is_painted(page: Page) -> None:
    page.locator("#f-steps").fill("150")
    page.locator("#f-steps").blur()
    for side in ("#f-size", "#f-height"):  # at 128 a quick machine is done before one has looked
        page.locator(side).fill("320")
        page.locator(side).blur()
    page.locator("#paint").click()
    expect(page.locator(".step-word")).to_have_text(re.compile(r"Step [1-9]\d* of 150"))
    expect(page.locator(".time-left")).to_have_text(re.compile("left"))
    line = page.get_by_role("progressbar")
    assert 0 < int(line.get_attribute("aria-valuenow") or 0) <= 100
    colours = page.locator(".easel-canvas").evaluate(
        """node => {
            const {data} = node.getContext("2d").getImageData(0, 0, node.width, node.height);
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    assert colours > 100, "the canvas shows a sketch"


def test_a_cancelled_picture_stops_and_leaves_nothing(page: Page) -> None:
    page.locator("#f-steps").fill("150")
    page.locator("#f-steps").blur()
    page.locator("#paint").click()
    expect(page.locator(".step-word")).to_have_text(re.compile(r"Step [1-9]"))
    page.locator(".live").get_by_role("button", name="Cancel").click()
    expect(page.locator("#stage-foot .caption")).to_have_text("Cancelled.")
    assert page.request.get("/api/pictures").json()["total"] == 0
    assert page.request.get("/api/jobs").json()["jobs"][0]["state"] == "cancelled"


def test_a_reload_in_the_middle_finds_the_running_and_the_waiting_picture(page: Page) -> None:
    page.locator("#f-steps").fill("60")
    page.locator("#f-steps").blur()
    page.locator("#paint").click()
    page.locator("#f-prompt").fill("a house, flat")
    page.locator("#f-steps").fill("2")
    page.locator("#f-steps").blur()
    page.locator("#paint").click()
    expect(page.locator("#tray .job")).to_have_count(2)
    page.reload()
    expect(page.locator("#f-prompt")).to_have_value("a house, flat")
    expect(page.locator(".step-word")).to_have_text(re.compile(r"Step \d+ of 60"))
    expect(page.locator("#tray .job")).to_have_count(2)
    expect(finished(page)).to_have_text("a house, flat")
    assert page.request.get("/api/pictures").json()["total"] == 2


def test_the_line_goes_back_to_any_step(page: Page) -> None:
    paint(page, "a castle, 3d", steps=6)
    line = page.get_by_role("slider", name="The way from noise to picture")
    expect(line).to_have_attribute("max", "6")
    with page.expect_response(re.compile(r"/frames/3$")) as answer:
        line.fill("3")
    assert answer.value.status == 200
    expect(page.locator(".step-word")).to_have_text("Step 3 of 6")
    line.press("End")
    expect(page.locator(".step-word")).to_have_text("")


def test_several_pictures_stand_in_a_grid_and_one_can_be_taken_out(page: Page) -> None:
    paint(page, "an owl, 3d", count=4)
    choices = page.locator(".easel-choice")
    expect(choices).to_have_count(4)
    choices.nth(2).click()
    expect(finished(page)).to_have_text("an owl, 3d")
    page.locator(".back").click()
    expect(choices).to_have_count(4)


def test_a_locked_seed_is_kept_and_a_free_one_is_new(page: Page) -> None:
    paint(page, "a dog, flat")
    first = page.locator("#f-seed").input_value()
    paint(page, "a dog, flat")
    second = page.locator("#f-seed").input_value()
    assert first != second
    assert first.isdecimal()
    assert second.isdecimal()
    page.locator("#lock").click()
    paint(page, "a cat, flat")
    assert page.locator("#f-seed").input_value() == second
    assert page.request.get("/api/pictures?limit=1").json()["pictures"][0]["seed"] == second


def test_a_refusal_stands_next_to_its_control(page: Page, witness: Witness) -> None:
    witness.expected = ("400", "422")
    page.locator("#f-steps").fill("9000")
    page.locator("#f-steps").blur()
    page.locator("#paint").click()
    error = page.locator("#f-steps-error")
    expect(error).to_contain_text("steps")
    expect(page.locator("#f-steps")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#f-steps")).to_be_focused()
    paint(page, "a tree, flat")
    expect(error).to_be_hidden()


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
def test_a_wander_keeps_the_noise_and_takes_another_path(page: Page, sampler: str) -> None:
    make(page, ["an apple, 3d"], seed="7", sampler=sampler)
    page.locator("#tray .tile").first.click()
    page.get_by_role("button", name="Wander").first.click()
    expect(page.locator("#tray .tile:not(.job)")).to_have_count(2)
    newest = page.request.get("/api/pictures?limit=1").json()["pictures"][0]
    wish = page.request.get(f"/api/pictures/{newest['id']}").json()["recipe"]["request"]
    assert (str(wish["seed"]), wish["wander"], wish["sampler"]) == ("7", True, "euler_ancestral")
    assert wish["path_seed"] is not None
    said = page.locator(".toast", has_text="took its place")
    expect(said).to_have_count(0 if sampler == "euler_ancestral" else 1)


def test_the_controls_are_remembered(page: Page) -> None:
    page.locator("#f-prompt").fill("a boat, flat")
    page.locator("#f-guidance").fill("4.5")
    page.locator("#f-guidance").blur()
    page.reload()
    expect(page.locator("#f-prompt")).to_have_value("a boat, flat")
    expect(page.locator("#f-guidance")).to_have_value("4.5")
    assert stored(page, "wish")["guidance"] == 4.5


def test_a_job_that_the_disk_keeps_waiting_says_so_and_goes_on(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sfumato.server.worker.AGAIN_SECONDS", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        page.locator("#f-steps").fill("2")
        page.locator("#f-steps").blur()
        page.locator("#paint").click()
        expect(page.locator("#stage-foot .reason")).to_have_text(HINDERED)
        expect(page.locator("#stage-foot .step-word")).to_have_text("Waiting")
        expect(
            page.get_by_role("button", name=f"Waiting: a red fox, 3d. {HINDERED}")
        ).to_be_visible()
        page.reload()
        expect(page.locator("#stage-foot .reason")).to_have_text(HINDERED)
    expect(finished(page)).to_have_text("a red fox, 3d")
    expect(page.locator(".reason")).to_have_count(0)
