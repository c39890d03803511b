"""A real browser before a real server: one page, its app, the real engine and the bundled model."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from sfumato.engine import Engine
from sfumato.server.services import Services, build, running
from sfumato.server.settings import Settings
from tests.server.conftest import LiveServer, serving

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 60_000  # ms; a busy machine is slow, not wrong
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser: what SFUMATO_CHROMIUM names, or the first of the known names on the PATH."""
    found = os.environ.get("SFUMATO_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None or not Path(found).exists():
        pytest.fail(
            f"The page's tests need Chromium, and there is none ({found or ', '.join(NAMES)}). "
            "Install it (Debian: apt install chromium), or name it in SFUMATO_CHROMIUM.",
            pytrace=False,
        )
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    # While Playwright runs, an event loop does too, in which no other test could start its own.
    # Chromium will not start as root inside its sandbox; what it opens here is our own page.
    rootless = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=rootless)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def engine() -> Engine:
    """One for all servers, which run one after the other: its model is loaded once."""
    return Engine(device="cpu")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", port=0)


@pytest.fixture
def services(settings: Settings, engine: Engine) -> Iterator[Services]:
    with running(build(settings, lambda: engine)) as services:
        yield services


@pytest.fixture
def server(services: Services, loopback: None) -> Iterator[LiveServer]:
    from sfumato.server.app import compose

    with serving(compose(services), services) as live:
        yield live


@dataclass
class Witness:
    """What a page said and asked for while it was open."""

    origin: str
    complaints: list[str] = field(default_factory=list[str])
    strangers: list[str] = field(default_factory=list[str])
    expected: tuple[str, ...] = ()

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:")):
            self.strangers.append(url)

    def unexpected(self) -> list[str]:
        return [each for each in self.complaints if not any(part in each for part in self.expected)]


@pytest.fixture
def witness(server: LiveServer) -> Iterator[Witness]:
    """Fails the test when the page complained of anything, or asked any other server."""
    witness = Witness(server.url)
    yield witness
    assert witness.strangers == [], "the page asked somebody else"
    assert witness.unexpected() == [], "the page complained"


@pytest.fixture
def open_page(
    browser: Browser, server: LiveServer, witness: Witness
) -> Iterator[Callable[..., Page]]:
    """Opens the page in a browser of its own; the options are those of a Playwright context."""
    contexts: list[BrowserContext] = []

    def opened(
        path: str = "/",
        size: tuple[int, int] = (1280, 860),
        scheme: str = "light",
        touch: bool = False,
        zone: str | None = None,
    ) -> Page:
        context = browser.new_context(
            base_url=server.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            has_touch=touch,
            is_mobile=touch,
            timezone_id=zone,
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        witness.watch(page)
        page.goto(server.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    """The page, ready to be used."""
    page = open_page()
    page.locator("#f-prompt").wait_for()
    return page
