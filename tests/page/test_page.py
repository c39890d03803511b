"""The page as a whole: open to everybody, by keyboard, behind a login, and honest when cut off."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sfumato.server.settings import Settings
from tests.page.acts import finished, make, paint
from tests.page.conftest import Witness
from tests.server.conftest import LiveServer

STATIC = Path(__file__).resolve().parents[2] / "src" / "sfumato" / "server" / "static"
IMPORT = re.compile(r'^(?:import|\}) [^"]*?from "\./(\w+\.js)"', re.MULTILINE)
LOOKS = {"light": {}, "dark": {"scheme": "dark"}, "phone": {"size": (390, 844), "touch": True}}


def grave(page: Page) -> list[str]:
    """What axe finds that is serious or critical, each with where."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_axe_has_nothing_serious_to_say(open_page: Callable[..., Page], look: str) -> None:
    page = open_page(**LOOKS[look])
    page.locator(".welcome").wait_for()
    assert grave(page) == [], "the empty page"
    for fold in ("more", "rest"):
        page.locator(f"details[data-fold={fold}] > summary").click()
    page.locator("#f-prompt").fill("a (red:1.2) fox, 3d")
    page.locator(".token-count").first.click()
    expect(page.locator(".token")).to_have_count(5)
    assert grave(page) == [], "all controls, and the tokens"
    paint(page, "a red fox, 3d")
    assert grave(page) == [], "a finished picture"
    page.locator("#show-calls").click()
    page.locator(".call").first.wait_for()
    assert grave(page) == [], "the calls"
    page.keyboard.press("Escape")
    page.locator("#stage .actions").get_by_role("button", name="Repaint a part").click()
    page.locator(".inpaint-canvas").wait_for()
    assert grave(page) == [], "the brush"
    page.keyboard.press("Escape")
    page.locator('[data-tab="gallery"]').click()
    page.locator(".wall .tile-face").wait_for()
    assert grave(page) == [], "the gallery"
    page.locator(".wall .tile-face").click()
    page.locator(".viewer-side").wait_for()
    assert grave(page) == [], "the viewer"


def test_nothing_sticks_out_on_a_phone(open_page: Callable[..., Page]) -> None:
    page = open_page(size=(360, 740), touch=True)
    paint(page, "a red fox, 3d")
    for view in ("paint", "gallery"):
        page.locator(f'[data-tab="{view}"]').click()
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{view} is {wide} pixels too wide"


def test_a_press_in_the_tray_brings_the_stage_into_sight_on_a_phone(
    open_page: Callable[..., Page],
) -> None:
    page = open_page(size=(360, 740), touch=True)
    make(page, ["a red fox, 3d", "a blue car, flat"])
    page.reload()
    page.locator("#tray .tile-face").nth(1).tap()
    expect(finished(page)).to_have_text("a red fox, 3d")
    box = page.locator("#stage-area").bounding_box()
    assert box is not None
    assert box["y"] >= 0


def test_everything_can_be_done_by_keyboard(page: Page) -> None:
    page.keyboard.press("p")
    expect(page.locator("#f-prompt")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("a blue bird, flat")
    page.keyboard.press("Control+Enter")
    expect(finished(page)).to_have_text("a blue bird, flat")
    page.locator("body").press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("f")
    expect(page.locator("#stage .heart")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("d")
    expect(page.locator("#lock")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("l")
    expect(page.locator("#lock")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Roll another seed")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()


def test_every_control_says_in_a_sentence_what_it_does(page: Page) -> None:
    for fold in ("more", "rest"):
        page.locator(f"details[data-fold={fold}] > summary").click()
    told = page.locator(".controls").evaluate(
        """panel => [...panel.querySelectorAll("input, select, textarea")]
            .filter((node) => node.id && node.id !== "f-explain" && node.type !== "range")
            .map((node) => [node.id, (node.getAttribute("aria-describedby") ?? "").split(" ")
                .map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim()])"""
    )
    assert len(told) >= 40
    assert [name for name, words in told if not words.endswith(".")] == []


def test_the_calls_make_the_same_picture(page: Page) -> None:
    make(page, ["a key, flat"], seed="21")
    page.reload()
    expect(finished(page)).to_have_text("a key, flat")
    page.locator("#stage").get_by_role("button", name="The calls that make this picture").click()
    calls = {way: page.locator(f'[data-way="{way}"]') for way in ("command", "python", "http")}
    for call in calls.values():
        expect(call.locator("pre")).to_contain_text("a key, flat")
        expect(call.locator("pre")).to_contain_text("21")
    calls["command"].get_by_role("button", name="Copy").click()
    expect(calls["command"].get_by_role("button")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("sfumato generate")


def test_the_theme_is_chosen_and_kept(page: Page) -> None:
    page.locator("#theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_lost_connection_is_shown_and_found_again(page: Page, witness: Witness) -> None:
    witness.expected = ("ERR_",)
    page.route("**/api/events", lambda route: route.abort())
    page.reload()
    expect(page.locator("#lost")).to_be_visible()
    page.unroute("**/api/events")
    expect(page.locator("#lost")).to_be_hidden()
    paint(page, "a cup, flat")


class TestBehindALogin:
    """With a token, nothing is shown to somebody who has not got it."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return Settings(home=tmp_path / "home", port=0, token="open-sesame-please")

    def test_the_token_opens_the_door(
        self, open_page: Callable[..., Page], server: LiveServer, witness: Witness
    ) -> None:
        witness.expected = ("401", "429")
        page = open_page()
        expect(page).to_have_url(re.compile("/login$"))
        assert grave(page) == []
        page.get_by_label("Token").fill("guess")
        page.get_by_role("button", name="Come in").click()
        expect(page.get_by_role("alert")).to_have_text("That was not right. Try again.")
        page.get_by_label("Token").fill("open-sesame-please")
        page.get_by_role("button", name="Come in").click()
        expect(page.locator("#f-prompt")).to_be_visible()
        paint(page, "a door, flat")
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(re.compile("/login$"))
        page.goto("/")
        expect(page).to_have_url(re.compile("/login$"))


def test_the_first_page_preloads_what_it_needs_and_no_more() -> None:
    needed: set[str] = set()
    waiting = ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += IMPORT.findall((STATIC / "js" / name).read_text())
    html = (STATIC / "index.html").read_text()
    assert set(re.findall(r'modulepreload" href="js/(\w+\.js)"', html)) == needed - {"main.js"}


def test_a_second_visit_asks_for_no_module_again(page: Page) -> None:
    # Also of a module that is fetched only when it is needed.
    page.keyboard.press("?")
    page.reload()
    page.locator("#f-prompt").wait_for()
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    sent = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((entry) => /\\.(js|css)$/.test(entry.name))
            .map((entry) => [entry.name, entry.transferSize])"""
    )
    assert len(sent) > 40
    assert [name for name, size in sent if size] == []


def test_every_icon_that_is_shown_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (STATIC / "icons.svg").read_text()))
    sources = [*STATIC.glob("js/*.js"), *STATIC.glob("*.html")]
    text = "\n".join(source.read_text() for source in sources)
    used = set(re.findall(r'icons\.svg#([\w-]+)"', text))
    makers = r'\b(?:iconButton|labelled|link|button|toggle|choice)\(\s*"([\w-]+)",\s*["`]'
    used |= set(re.findall(makers, text)) | set(re.findall(r'\bicon\("([\w-]+)"\)', text))
    assert len(used) > 30
    assert used - drawn == set()


def test_the_modules_are_small_and_nothing_comes_from_elsewhere() -> None:
    for path in STATIC.rglob("*"):
        if path.suffix not in {".js", ".css", ".html", ".svg"}:
            continue
        text = path.read_text()
        outside = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert outside == set(), path
        assert path.suffix != ".js" or text.count("\n") <= 250, path


def test_the_jsconfig_checks_every_module_strictly() -> None:
    options = json.loads((STATIC / "jsconfig.json").read_text())["compilerOptions"]
    assert options["checkJs"]
    assert options["strict"]
