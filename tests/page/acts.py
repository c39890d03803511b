"""What people do on the page, as the tests do it."""

import base64
import json
from collections.abc import Sequence

from playwright.sync_api import JSHandle, Locator, Page, expect

# A small picture takes two steps here; what it shows matters to no test.
QUICK = 2
PATIENCE = 60_000


def paint(page: Page, prompt: str, *, steps: int = QUICK, count: int = 1) -> None:
    """Fill in the controls, press Paint, wait for the finished picture."""
    page.locator("#f-prompt").fill(prompt)
    for name, value in (("steps", steps), ("count", count)):
        box = page.locator(f"#f-{name}")
        box.fill(str(value))
        box.blur()
    with page.expect_response("**/api/jobs") as answer:
        page.locator("#paint").click()
    job = answer.value.json()["job"]["id"]
    if count == 1:
        expect(page.locator(f'.foot-row[data-picture^="{job}"]')).to_be_visible()


def finished(page: Page) -> Locator:
    """The prompt under a finished picture."""
    return page.locator("#stage-foot:has(.actions) .caption q")


def make(page: Page, prompts: Sequence[str], **wish: object) -> list[str]:
    """Paint on the server, past the page; the pictures' ids."""
    jobs = []
    for prompt in prompts:
        body = {"request": {"prompt": prompt, "steps": QUICK, **wish}}
        said = page.request.post("/api/jobs", data=body)
        assert said.status == 202, said.text()
        jobs.append(said.json()["job"]["id"])
    ids: list[str] = []
    for job in jobs:
        # The stream of a job ends when the job does.
        stream = page.request.get(f"/api/jobs/{job}/events", timeout=PATIENCE).text()
        last = json.loads(stream.strip().rsplit("data:", 1)[1].split("\n")[0])
        assert last["state"] == "done", last
        ids += [picture["id"] for picture in last["pictures"]]
    return ids


def drop(page: Page, data: bytes) -> None:
    """Drop a picture on the page."""
    transfer = _transfer(page, data)
    for kind in ("dragenter", "dragover", "drop"):
        page.dispatch_event("main", kind, {"dataTransfer": transfer})


def paste(page: Page, data: bytes) -> None:
    """Paste a picture, as Ctrl+V brings it."""
    page.evaluate(
        """clipboardData => document.body.dispatchEvent(
            new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}))""",
        _transfer(page, data),
    )


def _transfer(page: Page, data: bytes) -> JSHandle:
    return page.evaluate_handle(
        """text => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "picture.png", {type: "image/png"}));
            return transfer;
        }""",
        base64.b64encode(data).decode(),
    )


def stored(page: Page, kind: str) -> dict[str, object]:
    """What the page remembers: its wish, or its habits."""
    script = "kind => JSON.parse(localStorage.getItem(`sfumato.${kind}`) ?? '{}')"
    return page.evaluate(script, kind)
