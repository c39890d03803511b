"""Pictures brought to the page: read, started from, repainted in part."""

import io
from collections.abc import Callable, Sequence

from PIL import Image
from playwright.sync_api import Page, expect

from tests.page.acts import QUICK, drop, finished, make, paste, stored
from tests.page.conftest import Witness


def newest(page: Page) -> dict[str, object]:
    """The request of the newest picture, from its own recipe."""
    [picture] = page.request.get("/api/pictures?limit=1").json()["pictures"]
    return page.request.get(f"/api/pictures/{picture['id']}").json()["recipe"]["request"]


def pixels(page: Page, number: int) -> Image.Image:
    """The pixels of a picture, counted from the newest."""
    row = page.request.get("/api/pictures").json()["pictures"][number]
    return Image.open(io.BytesIO(page.request.get(row["urls"]["file"]).body())).convert("RGB")


def sent_mask(page: Page) -> Image.Image:
    """The mask of the page's wish, as the server keeps it."""
    expect(page.locator(".start-card")).to_contain_text("Repainting a part")
    mask = stored(page, "wish")["mask"]
    assert isinstance(mask, dict)
    data = page.request.get(f"/api/inputs/{mask['sha256']}").body()
    return Image.open(io.BytesIO(data)).convert("L")


def plain() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (96, 96), (40, 120, 200)).save(out, "PNG")
    return out.getvalue()


def quick(page: Page) -> None:
    page.locator("#f-steps").fill(str(QUICK))
    page.locator("#f-steps").blur()


def test_a_dropped_picture_tells_its_recipe_and_lends_it(page: Page) -> None:
    [made] = make(page, ["a green frog, 3d"], seed="99", guidance=5)
    data = page.request.get(f"/api/pictures/{made}/file").body()
    drop(page, data)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".facts")).to_contain_text("a green frog, 3d")
    expect(dialog.locator(".facts")).to_contain_text("99")
    dialog.get_by_role("button", name="Use this recipe").click()
    expect(page.locator("#f-prompt")).to_have_value("a green frog, 3d")
    expect(page.locator("#f-seed")).to_have_value("99")
    expect(page.locator("#f-guidance")).to_have_value("5")


def test_a_dropped_picture_without_a_recipe_becomes_a_start(page: Page, witness: Witness) -> None:
    witness.expected = ("422",)  # the picture holds no recipe, and the browser reports the answer
    drop(page, plain())
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".reading")).not_to_contain_text("Reading")
    expect(dialog.get_by_role("button", name="Use this recipe")).to_have_count(0)
    dialog.get_by_role("button", name="Start from it").click()
    expect(page.locator(".start-card")).to_be_visible()
    page.locator("#f-strength").fill("0.6")
    page.locator("#f-strength").blur()
    quick(page)
    page.locator("#paint").click()
    expect(finished(page)).to_have_text("a red fox, 3d")
    wish = newest(page)
    assert wish["strength"] == 0.6
    assert isinstance(wish["image"], dict)
    assert wish["mask"] is None


def test_a_pasted_picture_is_kept_in_the_gallery_when_that_is_asked(
    page: Page, witness: Witness
) -> None:
    witness.expected = ("422",)  # it holds no recipe
    paste(page, plain())
    page.get_by_role("dialog").get_by_role("button", name="Keep it in the gallery").click()
    expect(page.locator("#tray .tile")).to_have_count(1)
    [kept] = page.request.get("/api/pictures").json()["pictures"]
    assert (kept["source"], kept["width"]) == ("other", 96)


def test_a_brushed_part_is_repainted_and_a_stroke_can_be_taken_back(page: Page) -> None:
    make(page, ["a yellow star, flat"])
    page.reload()
    page.locator("#stage .actions").get_by_role("button", name="Repaint a part").click()
    canvas = page.locator(".inpaint-canvas")
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    undo, redo = (page.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    expect(undo).to_be_disabled()
    for offset in (-100, 60):
        page.mouse.move(x + offset, y - 30)
        page.mouse.down()
        page.mouse.move(x + offset, y + 30, steps=4)
        page.mouse.up()
    page.keyboard.press("Control+z")
    expect(redo).to_be_enabled()
    expect(undo).to_be_enabled()
    page.get_by_role("button", name="Use this part").click()

    drawn = sent_mask(page)
    assert drawn.size == (128, 128)
    left, right = drawn.crop((0, 0, 64, 128)), drawn.crop((72, 0, 128, 128))
    assert left.getextrema() == (0, 255), "the first stroke is in the mask"
    assert right.getextrema() == (0, 0), "the second was taken back"

    page.locator("#f-prompt").fill("a blue fish, flat")
    quick(page)
    page.locator("#paint").click()
    expect(finished(page)).to_have_text("a blue fish, flat")
    before, after = pixels(page, 1), pixels(page, 0)
    far = (100, 0, 128, 128)
    assert after.crop(far).tobytes() == before.crop(far).tobytes(), "what was not brushed stays"
    assert after.tobytes() != before.tobytes()


def test_the_brush_works_by_keyboard_with_invert_and_clear(page: Page) -> None:
    make(page, ["a leaf, flat"])
    page.reload()
    page.locator("#stage .actions").get_by_role("button", name="Repaint a part").click()
    canvas = page.locator(".inpaint-canvas")
    expect(canvas).to_be_focused()
    canvas.press("ArrowRight")
    canvas.press("Enter")
    use = page.get_by_role("button", name="Use this part")
    page.get_by_role("button", name="Clear").click()
    use.click()
    toast = page.locator(".toast", has_text="Nothing is brushed")
    expect(toast).to_be_visible()
    toast.get_by_role("button").click()  # it lies above the dialog, and can be reached
    expect(toast).to_have_count(0)
    page.keyboard.press("Control+z")
    page.get_by_role("button", name="Invert").click()
    use.click()
    drawn = sent_mask(page)
    assert drawn.getpixel((2, 2)) == 255
    assert drawn.getpixel((66, 64)) == 0


def pinch(page: Page, middle: tuple[float, float], spans: Sequence[float]) -> None:
    """Two fingers, so far from the middle; the first comes down a little before."""
    (x, y), browser = middle, page.context.new_cdp_session(page)

    def touch(kind: str, *places: float) -> None:
        fingers = [{"x": x + place, "y": y, "id": i} for i, place in enumerate(places)]
        browser.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": fingers})

    touch("Start", -spans[0])
    touch("Start", -spans[0], spans[0])
    for span in spans[1:]:
        touch("Move", -span, span)
    touch("End")


def test_two_fingers_enlarge_and_leave_no_mark(open_page: Callable[..., Page]) -> None:
    page = open_page(size=(390, 844), touch=True)
    make(page, ["a leaf, flat"])
    page.reload()
    page.locator("#stage .actions").get_by_role("button", name="Repaint a part").tap()
    box = page.locator(".inpaint-canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fitted = min(box["width"] - 24, box["height"] - 24) / 128
    page.get_by_label("Size of the brush").fill("4")
    redo = page.get_by_role("button", name="Redo")
    page.touchscreen.tap(x, y)
    page.get_by_role("button", name="Undo").tap()
    expect(redo).to_be_enabled()
    pinch(page, (x, y), [40, 50, 60, 70, 80])
    expect(redo).to_be_enabled()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.touchscreen.tap(x + 100, y)
    page.get_by_role("button", name="Use this part").tap()
    left, upper, right, lower = sent_mask(page).point(lambda v: 255 * (v > 127)).getbbox() or ()
    # Enlarged to the double, the finger lies half as far from the middle, and the brush is as wide.
    assert abs((left + right) / 2 - (64 + 100 / fitted / 2)) <= 1.5
    assert abs((upper + lower) / 2 - 64) <= 1.5
    assert 3 <= right - left <= 5
