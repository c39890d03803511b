"""A run goes on from a stored step to the same picture, to the bit; estimates become pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from PIL import Image, ImageChops
from safetensors import torch as safetensors

import sfumato
from sfumato.engine import Engine
from sfumato.errors import RequestError
from sfumato.run import Progress

REQUEST = sfumato.Request("a red fox, 3d", seed=7, steps=6, width=64, height=64)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield sfumato.load(precision="fp32")
    torch.set_num_threads(threads)


@dataclass(frozen=True)
class Kept:
    """A finished run, and what each of its steps left behind."""

    request: sfumato.Request
    image: Image.Image
    states: list[bytes]
    steps: list[Progress]


def painted(engine: Engine, request: sfumato.Request) -> Kept:
    run = engine.submit(request)
    steps = list(run)
    (picture,) = run.result().pictures
    return Kept(run.request, picture.image, [step.state() for step in steps], steps)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sampler": "unipc"},
        {"sampler": "euler_ancestral"},
        {"sampler": "dpmpp_sde", "wander": True, "path_seed": 11},
    ],
    ids=["multistep", "predictor and corrector", "ancestral", "wander"],
)
def test_from_any_step_it_ends_in_the_same_picture(
    engine: Engine, changes: dict[str, object]
) -> None:
    whole = painted(engine, replace(REQUEST, **changes))  # pyright: ignore
    for done in (1, 3, 5):
        run = engine.submit(whole.request, state=whole.states[done - 1])
        assert [step.index for step in run] == list(range(done + 1, 7))
        (picture,) = run.result().pictures
        assert picture.image.tobytes() == whole.image.tobytes()
        assert picture.recipe.request == whole.request


def test_a_picture_finished_but_not_kept_is_only_decoded_again(engine: Engine) -> None:
    whole = painted(engine, REQUEST)
    run = engine.submit(whole.request, state=whole.states[-1])
    (picture,) = run.result().pictures
    assert picture.image.tobytes() == whole.image.tobytes()


@pytest.mark.parametrize(
    "changes", [{"seed": 8}, {"guidance": 5.0}, {"steps": 7}, {"prompt": "a blue fox, 3d"}]
)
def test_a_step_of_another_request_is_refused(engine: Engine, changes: dict[str, object]) -> None:
    whole = painted(engine, replace(REQUEST, steps=2))
    with pytest.raises(RequestError, match="another request"):
        engine.submit(replace(whole.request, **changes), state=whole.states[0])  # pyright: ignore


def test_a_damaged_step_is_refused(engine: Engine) -> None:
    whole = painted(engine, replace(REQUEST, steps=2))
    state = whole.states[0]
    for bad in (b"", state[:40], state[:-5], b"x" * 100, safetensors.save({"x": torch.ones(2)})):
        with pytest.raises(RequestError, match="begin anew"):
            engine.submit(whole.request, state=bad)


def test_a_step_is_no_start_for_several_pictures(engine: Engine) -> None:
    whole = painted(engine, replace(REQUEST, steps=2))
    with pytest.raises(RequestError, match=r"count is 2, .* one picture"):
        engine.submit(replace(whole.request, count=2), state=whole.states[0])


def test_an_estimate_becomes_the_picture_of_its_step(engine: Engine) -> None:
    whole = painted(engine, REQUEST)
    step = whole.steps[2]
    (seen,) = step.preview()
    estimate = step.estimate()
    assert len(estimate) < 4096 + 2 * step.step.x0.numel()
    off = ImageChops.difference(engine.develop(whole.request, estimate), seen).getextrema()
    assert max(high for _, high in off) <= 3  # pyright: ignore - kept in half precision
    for bad in (b"", estimate[:-9], safetensors.save({"x": torch.ones(2)})):
        with pytest.raises(RequestError, match="damaged"):
            engine.develop(whole.request, bad)
    with pytest.raises(RequestError, match="another model"):
        engine.develop(whole.request, safetensors.save({"x0": torch.ones(1, 4, 8, 8)}))


def test_a_sketch_has_nearly_the_pictures_colours(engine: Engine) -> None:
    last = painted(engine, replace(REQUEST, prompt="a red fox on a navy background", steps=12))
    sketch = last.steps[-1].sketch()
    assert sketch.size == (8, 8)
    small = last.image.resize((8, 8), Image.Resampling.BOX)
    pairs = zip(sketch.tobytes(), small.tobytes(), strict=True)
    off = [abs(a - b) for a, b in pairs]
    assert sum(off) / len(off) < 30
    other = zip(
        sketch.tobytes(), small.transpose(Image.Transpose.ROTATE_180).tobytes(), strict=True
    )
    assert sum(off) < 0.8 * sum(abs(a - b) for a, b in other)
