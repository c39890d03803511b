"""Which steps become partial pictures, and what their events hold."""

import base64
import io
import json

from PIL import Image

from sfumato.server.events import Stepped
from sfumato.server.openai.answers import Partials, partial
from sfumato.server.openai.payloads import Generation


def step(number: int, steps: int = 12, *, full: bool = True, picture: int = 0) -> Stepped:
    preview = Image.new("RGB", (32, 24), "red") if full else None
    sketch = Image.new("RGB", (4, 3), "red")
    return Stepped("job", picture, number, steps, 1.0, None, sketch, preview)


def taken(partials: Partials, *, full: bool, picture: int = 0) -> list[tuple[int, int]]:
    """Step and index of each partial picture, of a picture's twelve steps."""
    made = [step(number, full=full, picture=picture) for number in range(1, 13)]
    return [(each.step, index) for each in made for index in partials.due(each)]


def test_partial_pictures_are_spread_evenly() -> None:
    assert taken(Partials(3), full=True) == [(3, 0), (6, 1), (9, 2)]
    assert taken(Partials(1), full=True) == [(6, 0)]
    assert taken(Partials(0), full=True) == []


def test_a_sketch_does_where_no_preview_comes_in_time() -> None:
    assert [index for _, index in taken(Partials(2), full=False)] == [0, 1]


def test_each_picture_has_its_own() -> None:
    partials = Partials(1)
    assert taken(partials, full=True) == [(6, 0)]
    assert taken(partials, full=True, picture=1) == [(6, 0)]


def test_the_last_step_is_no_partial_picture() -> None:
    assert list(Partials(3).due(step(1, steps=1))) == []


def test_a_sketch_is_shown_eight_times_as_large() -> None:
    wish = Generation(prompt="a fox", output_format="webp", quality="low")
    for full in (True, False):
        name, data = partial("image_edit", step(6, full=full), 1, wish).decode().split("\n", 1)
        told = json.loads(data.removeprefix("data: "))
        assert name == "event: image_edit.partial_image"
        assert (told["type"], told["partial_image_index"]) == ("image_edit.partial_image", 1)
        assert (told["size"], told["quality"], told["output_format"]) == ("32x24", "low", "webp")
        image = Image.open(io.BytesIO(base64.b64decode(told["b64_json"])))
        assert (image.format, image.size) == ("WEBP", (32, 24))
