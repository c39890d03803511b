"""What is said of a request's work is how often its network is called, of whatever kind it is."""

from dataclasses import replace
from typing import Any

import pytest

from sfumato.effort import calls_a_step, negative_unheard
from sfumato.engine import Engine
from sfumato.request import Request

STEPS = 4


class Counter:
    """A network that counts the pictures that go through it."""

    def __init__(self, network: Any) -> None:
        self.network, self.pictures = network, 0

    def __call__(self, x: Any, *others: Any, **more: Any) -> Any:
        self.pictures += len(x)
        return self.network(x, *others, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", "fp32")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"guidance": 1.0},
        {"sampler": "heun"},
        {"pag": 2.0, "pag_layers": (0,)},
        {"pag": 2.0, "pag_layers": (0,), "guidance": 1.0},
        {"prompt": "a fox AND a hill"},
        {"prompt": "a fox AND a hill :0.5 AND flat", "guidance": 1.0},
        {"prompt": "a fox AND a hill", "pag": 2.0, "pag_layers": (0,)},
        {"prompt": "a [fox:owl:0.5]"},
    ],
    ids=str,
)
def test_so_many_pictures_go_through_the_network(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    wish = replace(Request("a fox", seed=1, steps=STEPS, sampler="euler"), **change)
    run = engine.submit(wish)
    unet = next(iter(run)).model.denoiser
    counter = Counter(unet.forward)
    monkeypatch.setattr(unet, "forward", counter)
    engine.submit(wish).result()
    expected = calls_a_step(run.request) * STEPS
    # Heun's last step, to no noise at all, is one of Euler's.
    last = calls_a_step(run.request) // 2 if wish.sampler == "heun" else 0
    assert counter.pictures == expected - last


@pytest.mark.parametrize("guidance", [1.0, 2.0])
@pytest.mark.parametrize("prompt", ["a fox", "a fox AND a hill"])
def test_a_negative_prompt_is_unheard_just_where_it_changes_no_pixel(
    engine: Engine, guidance: float, prompt: str
) -> None:
    wish = Request(prompt, negative="blurry", seed=1, steps=2, guidance=guidance)
    one, other = (
        engine.submit(each).result().pictures[0].image
        for each in (wish, replace(wish, negative=""))
    )
    assert negative_unheard(wish) == (one.tobytes() == other.tobytes())
    assert not negative_unheard(replace(wish, negative=" "))
