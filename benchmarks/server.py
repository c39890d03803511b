"""What the server costs: until the page is there, until it paints, a request, and the previews.

A real server is started each time, with the bundled model and a fresh folder. The same request is
made in Python and through the server in turn, so that a busy machine slows both. Run:

    python benchmarks/server.py [--starts 5] [--requests 15] [--steps 20] [--device cpu]

Prints medians, and ends in status 1 if one is beyond what is promised: the server up in 3 s, the
page in 1 s after that, 50 ms a request beyond the same call in Python, 5 % of a run for previews.
"""

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import sfumato

READY, PAGE, REQUEST, PREVIEWS = 3.0, 1.0, 0.050, 0.05
PROMPT = "a red fox in the snow, 3d"


@dataclass
class Server:
    """A server in a process of its own; `seconds` until it said its address."""

    port: int
    begun: float
    seconds: float

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        data = None if body is None else json.dumps(body)
        line.request(method, path, data, {"content-type": "application/json"})
        answer = line.getresponse()
        read = answer.read()
        line.close()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {read[:200]!r}")
        return read

    def json(self, method: str, path: str, body: object = None) -> dict[str, object]:
        return json.loads(self.ask(method, path, body))

    def until_ready(self) -> float:
        """Seconds from the start of the process until it paints."""
        while not self.json("GET", "/api/about")["ready"]:
            time.sleep(0.005)
        return time.perf_counter() - self.begun


@contextmanager
def served(device: str) -> Generator[Server]:
    with tempfile.TemporaryDirectory() as home:
        begun = time.perf_counter()
        words = ("-m", "sfumato", "serve", "--home", home, "--port", "0", "--device", device)
        process = subprocess.Popen(
            (sys.executable, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        try:
            first = process.stdout.readline()
            port = int(first.split(":")[2].split()[0])
            yield Server(port, begun, time.perf_counter() - begun)
        finally:
            process.terminate()
            process.communicate(timeout=60)


def starts(count: int, device: str) -> tuple[float, float, float]:
    """Medians of: the address is said; the whole page was read after that; it paints."""
    said: list[float] = []
    page: list[float] = []
    ready: list[float] = []
    for _ in range(count):
        with served(device) as server:
            said.append(server.seconds)
            asked = time.perf_counter()
            html = server.ask("GET", "/").decode()
            for part in html.replace("'", '"').split('"'):
                if part.startswith(("css/", "js/")) and part.endswith((".css", ".js")):
                    server.ask("GET", f"/{part}")
            page.append(time.perf_counter() - asked)
            ready.append(server.until_ready())
    return tuple(map(statistics.median, (said, page, ready)))  # type: ignore[return-value]


def overhead(server: Server, count: int, steps: int, device: str) -> tuple[float, float]:
    """Medians of one picture in Python, and of the same through `/sdapi/v1/txt2img`."""
    engine = sfumato.load(device=device)
    here: list[float] = []
    there: list[float] = []
    for seed in range(-2, count):
        begun = time.perf_counter()
        engine.submit(sfumato.Request(PROMPT, seed=seed + 1000, steps=steps)).result()
        middle = time.perf_counter()
        server.ask(
            "POST", "/sdapi/v1/txt2img", {"prompt": PROMPT, "seed": seed + 1000, "steps": steps}
        )
        end = time.perf_counter()
        if seed >= 0:  # the first two warm up
            here.append(middle - begun)
            there.append(end - middle)
    return statistics.median(here), statistics.median(there)


def previews(server: Server, count: int, steps: int) -> tuple[float, float]:
    """Medians of a job's own seconds while nobody looks, and while somebody follows each step."""
    alone: list[float] = []
    followed: list[float] = []
    for number in range(2 * count):
        request = {"prompt": PROMPT, "seed": number, "steps": steps}
        told = server.json("POST", "/api/jobs", {"request": request})["job"]
        assert isinstance(told, dict)
        path = f"/api/jobs/{told['id']}"
        if number % 2:
            server.ask("GET", f"{path}/events")  # ends with the job
        while told["state"] != "done":
            time.sleep(0.05)
            told = server.json("GET", path)["job"]
            assert isinstance(told, dict)
        (followed if number % 2 else alone).append(told["finished"] - told["started"])
    return statistics.median(alone), statistics.median(followed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args()

    said, page, ready = starts(asked.starts, asked.device)
    print(f"it says its address after   {said:.2f} s")
    print(f"the page is there after     {page * 1000:.0f} ms more   (at most {PAGE:.0f} s)")
    print(f"it paints after             {ready:.2f} s   (at most {READY:.0f} s)")
    with served(asked.device) as server:
        server.until_ready()
        here, there = overhead(server, asked.requests, asked.steps, asked.device)
        print(f"a picture in Python         {here * 1000:.0f} ms")
        print(f"the same through the server {there * 1000:.0f} ms")
        extra = f"{(there - here) * 1000:.0f} ms   (at most {REQUEST * 1000:.0f} ms)"
        print(f"so a request costs          {extra}")
        alone, followed = previews(server, asked.requests, asked.steps)
        share = followed / alone - 1
        print(f"a job that nobody follows   {alone * 1000:.0f} ms")
        print(f"a job with all its steps    {followed * 1000:.0f} ms")
        print(f"so previews cost            {share:.1%}   (at most {PREVIEWS:.0%})")
    kept = (ready <= READY, page <= PAGE, there - here <= REQUEST, share <= PREVIEWS)
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
