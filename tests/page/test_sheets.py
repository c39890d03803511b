"""Sheets that fill in cell by cell, the ladder with its curve, and variations around a picture."""

import re
from collections.abc import Callable

from PIL import Image
from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from tests.page.acts import QUICK, finished, make, paint

# Several pictures in a row take their time on a busy machine.
SLOW = 120_000


def sheets(page: Page) -> Locator:
    page.locator("#show-sheets").click()
    return page.get_by_role("dialog", name="Sheets")


def quick(page: Page, prompt: str = "a red fox, 3d") -> None:
    page.locator("#f-prompt").fill(prompt)
    page.locator("#f-steps").fill(str(QUICK))
    page.locator("#f-steps").blur()


def test_a_sheet_fills_in_cell_by_cell_and_is_found_again(page: Page) -> None:
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("2,3")
    dialog.get_by_label("Downwards", exact=True).select_option("guidance")
    dialog.get_by_label("Downwards: its values").fill("2,5")
    dialog.get_by_role("button", name="Paint the sheet").click()
    sheet = page.get_by_role("dialog", name="a red fox, 3d")
    expect(sheet.locator("caption")).to_have_text("Steps × Guidance")
    expect(sheet.locator("th[scope=col]")).to_have_text(["2", "3"])
    expect(sheet.locator("th[scope=row]")).to_have_text(["2", "5"])
    expect(sheet.locator(".sheet-picture img")).to_have_count(4, timeout=SLOW)
    expect(sheet.get_by_role("button", name="Give up the rest")).to_be_hidden()
    page.keyboard.press("Escape")
    page.reload()
    page.locator("#f-prompt").wait_for()
    page.keyboard.press("s")
    page.get_by_role("button", name="Steps × Guidance").click()
    expect(sheet.locator(".sheet-picture img")).to_have_count(4, timeout=SLOW)
    sheet.locator(".sheet-picture").nth(3).click()
    expect(finished(page)).to_have_text("a red fox, 3d")
    expect(page.locator("#stage-foot .recipe")).to_contain_text("3 steps")


def test_a_ladder_of_steps_shows_its_curve_and_gives_advice(page: Page) -> None:
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("1,2,16")
    dialog.get_by_role("button", name="Paint the sheet").click()
    curve = page.get_by_role("img", name="Change of the picture")
    expect(curve.locator("circle")).to_have_count(3, timeout=SLOW)
    expect(curve.locator("text:not(.limit)")).to_have_text(["1", "2", "16"])
    ladder = page.locator(".ladder")
    expect(ladder).to_contain_text("Climb higher: a sheet along Steps with larger numbers")
    assert "--" not in ladder.inner_text()
    label = curve.get_attribute("aria-label") or ""
    changes = [float(part.split()[-1]) for part in label.split(", ")]
    assert changes[0] > changes[1] > changes[2] == 0, label
    expect(ladder).to_contain_text("It has not settled")


def test_an_answer_that_comes_late_takes_nothing_back(page: Page) -> None:
    late: list[tuple[Route, APIResponse]] = []
    page.route(re.compile(r"/api/sheets/[0-9a-f]+$"), lambda r: late.append((r, r.fetch())))
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("10,11,12,13")
    dialog.get_by_role("button", name="Paint the sheet").click()
    made = page.locator(".sheet-picture img")
    expect(made.nth(1)).to_be_visible(timeout=SLOW)  # the first may be done before the page listens
    [(route, answer)] = late
    then = [cell["state"] for cell in answer.json()["sheet"]["cells"]]
    assert then.count("done") < 2
    before = made.count()
    with page.expect_response("**/api/sheets/*"):
        route.fulfill(response=answer)
    page.wait_for_timeout(200)
    assert made.count() >= before


def test_a_ladder_that_settles_lends_its_number_of_steps(page: Page) -> None:
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("30,31,32")
    dialog.get_by_role("button", name="Paint the sheet").click()
    use = page.get_by_role("button", name="Use 30 steps")
    expect(use).to_be_visible(timeout=SLOW)
    expect(page.locator(".ladder")).to_contain_text("the same sheet, downwards along Seed")
    use.click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#f-steps")).to_have_value("30")


def test_a_sheet_is_saved_as_one_picture_and_deleted(page: Page) -> None:
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("1,2,3")
    dialog.get_by_label("Downwards", exact=True).select_option("guidance")
    dialog.get_by_label("Downwards: its values").fill("2,5")
    dialog.get_by_role("button", name="Paint the sheet").click()
    sheet = page.get_by_role("dialog", name="a red fox, 3d")
    expect(sheet.locator(".sheet-picture img")).to_have_count(6, timeout=SLOW)
    with page.expect_download() as saved:
        sheet.get_by_role("link", name="Save").click()
    assert saved.value.suggested_filename.endswith(".png")
    with Image.open(saved.value.path()) as drawn:
        assert drawn.width > 3 * 128
        assert drawn.height > 2 * 128
    sheet.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete this sheet?").get_by_role("button", name="Keep").click()
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    row = sheets(page).locator(".sheet-row")
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete the sheet: a red fox, 3d").click()
    page.get_by_role("button", name="Delete the sheet", exact=True).click()
    expect(row).to_have_count(0)
    assert page.request.get("/api/sheets").json()["sheets"] == []
    assert page.request.get("/api/pictures").json()["total"] == 6, "its pictures stay"


def test_a_picture_is_verified_and_its_twin_is_put_away(page: Page) -> None:
    make(page, ["a red fox, 3d"], seed="7")
    page.reload()
    page.get_by_role("button", name="Verify").click()
    dialog = page.get_by_role("dialog", name="Is it what its recipe makes?")
    expect(dialog.locator(".verdict")).to_contain_text("Equal to the bit", timeout=SLOW)
    assert page.request.get("/api/pictures?tag=verify").json()["total"] == 0


def test_a_sheet_that_cannot_be_says_why_beside_it(page: Page, witness: object) -> None:
    witness.expected = ("422",)  # type: ignore[attr-defined]
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("4,many")
    dialog.get_by_role("button", name="Paint the sheet").click()
    expect(dialog.get_by_role("alert")).to_contain_text("must be a whole number")


def test_a_picture_has_variations_around_it(page: Page) -> None:
    make(page, ["a red fox, 3d"], seed="7")
    page.reload()
    page.get_by_role("button", name="Vary").click()
    dialog = page.get_by_role("dialog", name="Variations")
    expect(dialog.locator("output").first).to_have_text("0.20")
    dialog.get_by_label("How many").fill("2")
    with page.expect_response("**/api/jobs") as answer:
        dialog.get_by_role("button", name="Paint the variations").click()
    request = answer.value.json()["job"]["request"]
    assert (request["seed"], request["variation_strength"], request["count"]) == ("7", 0.2, 2)
    expect(page.locator(".easel[data-picture]")).to_have_count(2, timeout=SLOW)


def test_a_recipe_with_a_variation_is_taken_whole_and_left_whole(page: Page) -> None:
    make(page, ["a ship, flat"], seed="7", variation_seed="9", variation_strength=0.3)
    page.reload()
    page.get_by_role("button", name="Use recipe").click()
    more = page.locator("details[data-fold=more]")
    if more.get_attribute("open") is None:
        more.locator("summary").click()
    expect(page.locator("#f-variation_seed")).to_have_value("9")
    paint(page, "a ship, flat")
    expect(page.locator("#f-variation_strength")).to_have_value("0.3")


def test_a_sheet_fits_on_a_phone_and_in_the_dark(open_page: Callable[..., Page]) -> None:
    page = open_page(size=(390, 844), scheme="dark", touch=True)
    quick(page)
    dialog = sheets(page)
    dialog.get_by_label("From left to right: its values").fill("1,2,3,4")
    dialog.get_by_role("button", name="Paint the sheet").click()
    expect(page.locator(".sheet-picture img")).to_have_count(4, timeout=SLOW)
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0
