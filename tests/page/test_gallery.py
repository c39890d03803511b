"""The gallery: found by words, opened, compared, reused, thrown away and brought back."""

import io
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from PIL import Image
from playwright.sync_api import Page, expect

from sfumato.server.services import Services
from tests.page.acts import finished, make

BERLIN = ZoneInfo("Europe/Berlin")


def gallery(page: Page) -> None:
    page.locator('[data-tab="gallery"]').click()
    page.locator(".wall .tile").first.wait_for()


def keep(services: Services, times: Sequence[datetime]) -> None:
    """Pictures made at these times, each of another colour; found by the day in its name."""
    for number, time in enumerate(times):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(out, "PNG")
        services.library.import_file(out.getvalue(), name="one", created=time.timestamp())


def test_words_find_pictures(page: Page) -> None:
    make(page, ["a green cactus, 3d", "a red car, 3d", "a red apple, flat"])
    gallery(page)
    expect(page.locator(".wall .tile")).to_have_count(3)
    page.locator("#search").fill("red")
    expect(page.locator(".total")).to_have_text("2 pictures")
    page.locator("#search").fill("red flat")
    expect(page.locator(".wall .tile-face")).to_have_count(1)
    expect(page.locator(".wall .tile-face")).to_have_attribute("aria-label", "a red apple, flat")
    page.locator("#search").fill("zebra")
    expect(page.locator(".nothing", has_text="No picture fits")).to_be_visible()


def test_favourites_and_tags_are_kept_and_narrow_the_gallery(page: Page) -> None:
    make(page, ["a ship, flat", "a train, flat"])
    gallery(page)
    page.locator(".wall .tile-face", has_text="").nth(1).click()
    viewer = page.get_by_role("dialog")
    viewer.locator(".heart").click()
    expect(viewer.locator(".heart")).to_have_attribute("aria-pressed", "true")
    viewer.get_by_role("textbox", name="Add a tag").fill("harbour")
    viewer.get_by_role("textbox", name="Add a tag").press("Enter")
    expect(viewer.locator(".tag")).to_have_text("harbour")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Favourites").click()
    expect(page.locator(".wall .tile-face")).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".wall .tile-face")).to_have_count(2)
    page.get_by_role("textbox", name="Tag", exact=True).fill("harbour")
    expect(page.locator(".wall .tile-face")).to_have_count(1)
    expect(page.locator(".wall .tile-face")).to_have_attribute("aria-label", "a ship, flat")


def test_two_pictures_are_compared_with_what_differs(page: Page) -> None:
    make(page, ["a red fox, 3d"], seed="7", guidance=3)
    make(page, ["a red fox, 3d"], seed="8", guidance=6)
    gallery(page)
    for number in (0, 1):
        page.locator(".wall .tile").nth(number).hover()
        page.locator(".tile-check").nth(number).click()
    page.locator(".selection").get_by_role("button", name="Compare").click()
    dialog = page.get_by_role("dialog")
    dialog.locator(".differences").wait_for()
    names = dialog.locator(".differences tbody th").all_text_contents()
    assert {"Seed", "Guidance"} <= set(names)
    assert "Prompt" not in names
    row = dialog.locator("tr", has=page.locator("th", has_text="Seed"))
    assert sorted(row.locator("td").all_text_contents()) == ["7", "8"]
    slider = dialog.get_by_role("slider")
    slider.press("Home")
    assert dialog.locator(".compare-frame").evaluate(
        "node => node.style.getPropertyValue('--cut')"
    ) in ("0%", "0.0%")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_a_deleted_picture_can_be_brought_back_until_the_trash_is_emptied(page: Page) -> None:
    make(page, ["a moon, flat", "a sun, flat"])
    page.reload()
    expect(finished(page)).to_have_text("a sun, flat")
    page.locator('#stage [data-act="delete"]').click()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".toast", has_text="brought back")).to_be_visible()
    assert page.request.get("/api/pictures").json()["total"] == 2
    gallery(page)
    page.locator(".wall .tile").first.hover()
    page.locator(".tile-check").first.click()
    page.locator(".selection").get_by_role("button", name="Delete").click()
    expect(page.locator(".wall .tile")).to_have_count(1)
    page.get_by_role("button", name="Trash").click()
    expect(page.locator(".wall .tile-face")).to_have_attribute("aria-label", "a sun, flat")
    page.get_by_role("button", name="Empty the trash").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(page.locator(".nothing", has_text="The trash is empty.")).to_be_visible()
    assert page.request.get("/api/pictures?trash=true").json()["total"] == 0


def test_a_recipe_is_used_again_by_a_click(page: Page) -> None:
    make(page, ["a teapot, 3d"], seed="12345678901234567890", guidance=4.5, sampler="euler")
    gallery(page)
    page.locator(".wall .tile-face").click()
    page.get_by_role("dialog").get_by_role("button", name="Use recipe").click()
    expect(page.locator("#f-prompt")).to_have_value("a teapot, 3d")
    expect(page.locator("#f-seed")).to_have_value("12345678901234567890")
    expect(page.locator("#lock")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#f-guidance")).to_have_value("4.5")
    expect(page.locator("#f-sampler")).to_have_value("euler")
    [first] = page.request.get("/api/pictures").json()["pictures"]
    page.locator("#paint").click()
    expect(page.locator("#tray .tile:not(.job)")).to_have_count(2)
    again = page.request.get("/api/pictures?limit=1").json()["pictures"][0]
    assert again["id"] != first["id"]
    said = page.request.get(f"/api/pictures/{first['id']}/diff/{again['id']}").json()
    assert said["fields"].keys() <= {"seconds"}


def test_the_arrows_walk_through_the_gallery(page: Page) -> None:
    make(page, [f"a ball, flat, {word}" for word in ("red", "green", "blue")])
    page.keyboard.press("g")
    faces = page.locator(".wall .tile-face")
    expect(faces).to_have_count(3)
    faces.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(faces.nth(2)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("x")
    expect(page.locator(".wall .tile").first).to_have_class(re.compile("chosen"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".viewer-prompt")).to_have_text("a ball, flat, blue")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".viewer-prompt")).to_have_text("a ball, flat, green")
    page.keyboard.press("Escape")
    expect(faces.nth(1)).to_be_focused()


def test_the_gallery_goes_on_beyond_a_page_as_it_is_scrolled(
    page: Page, services: Services
) -> None:
    keep(services, [datetime(2026, 1, 1, 12, 0, second % 60) for second in range(130)])
    gallery(page)
    tiles = page.locator(".wall .tile")
    expect(page.locator(".total")).to_have_text("130 pictures")
    expect(tiles).to_have_count(60)
    for shown in (120, 130):
        page.mouse.wheel(0, 100_000)
        expect(tiles).to_have_count(shown)
    expect(page.get_by_role("button", name="Show more")).to_be_hidden()
    ids = tiles.evaluate_all("nodes => nodes.map((node) => node.dataset.id)")
    assert len(set(ids)) == 130, "each picture stands there once"


def test_a_gallery_higher_than_a_page_of_pictures_fills_by_itself(
    open_page: Callable[..., Page], services: Services
) -> None:
    keep(services, [datetime(2026, 1, 1, 12, 0, second % 60) for second in range(130)])
    page = open_page("/#gallery", size=(1280, 9000))
    expect(page.locator(".wall .tile")).to_have_count(130)


def test_what_was_scrolled_through_stays_when_a_picture_is_finished(
    page: Page, services: Services
) -> None:
    keep(services, [datetime(2026, 1, 1, 12, 0, second % 60) for second in range(80)])
    gallery(page)
    page.mouse.wheel(0, 100_000)
    expect(page.locator(".wall .tile")).to_have_count(80)
    make(page, ["a red fox, 3d"])
    expect(page.locator(".wall .tile-face").first).to_have_attribute("aria-label", "a red fox, 3d")
    expect(page.locator(".wall .tile")).to_have_count(81)
    assert page.evaluate("scrollY") > 0


def test_the_days_of_the_filter_are_whole_days_where_the_user_is(
    open_page: Callable[..., Page], services: Services
) -> None:
    # In the night to the 26th the clocks went back: the 25th had 25 hours.
    days = [(24, 23, 59), (25, 0, 0), (25, 23, 59), (26, 0, 0)]
    keep(
        services, [datetime(2026, 10, day, h, m, 30 * (h > 0), tzinfo=BERLIN) for day, h, m in days]
    )
    page = open_page("/#gallery", zone="Europe/Berlin")
    tiles, headings = page.locator(".wall .tile"), page.locator(".wall h2")
    expect(tiles).to_have_count(4)
    expect(headings).to_have_text(["26 October 2026", "25 October 2026", "24 October 2026"])
    page.get_by_label("From", exact=True).fill("2026-10-25")
    expect(headings).to_have_text(["26 October 2026", "25 October 2026"])
    page.get_by_label("To", exact=True).fill("2026-10-25")
    expect(headings).to_have_text(["25 October 2026"])
    expect(tiles).to_have_count(2)
    page.get_by_label("From", exact=True).fill("2026-10-26")
    expect(page.locator(".nothing")).to_have_text("The first day lies after the last one.")
    page.get_by_role("button", name="Clear").click()
    expect(tiles).to_have_count(4)
