"""The real clients, the real engine and the bundled model: what comes is what Python would make."""

import base64
import io
from collections.abc import Iterator

import openai
import pytest
import webuiapi
from PIL import Image, ImageChops

from sfumato.engine import Engine
from sfumato.request import Request
from sfumato.server.app import compose
from sfumato.server.services import build, running
from sfumato.server.settings import Settings
from sfumato.source import Source
from tests.server.conftest import LiveServer, serving


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu", "fp32", model="mini")


@pytest.fixture
def live(settings: Settings, engine: Engine, loopback: None) -> Iterator[LiveServer]:
    with (
        running(build(settings, lambda: engine)) as services,
        serving(compose(services), services) as live,
    ):
        yield live


def half(colour: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> Image.Image:
    """A picture of 128 x 128 whose right half has another colour."""
    image = Image.new("RGBA", (128, 128), colour)
    image.paste(other, (64, 0, 128, 128))
    return image


def test_webuiapi_gets_the_pictures_that_python_gets(live: LiveServer, engine: Engine) -> None:
    api = webuiapi.WebUIApi(baseurl=f"{live.url}/sdapi/v1")
    size = {"width": 128, "height": 128}
    result = api.txt2img(prompt="a red fox", seed=7, steps=2, cfg_scale=3, **size)
    asked = {"seed": 7, "steps": 2, "guidance": 3, "sampler": "euler_ancestral", **size}
    request = Request("a red fox", like="a1111", **asked)  # as such a client expects
    (picture,) = engine.submit(request).result().pictures
    assert result.image.convert("RGB").tobytes() == picture.image.tobytes()
    assert result.info["infotexts"] == [picture.recipe.parameters()]

    again = api.img2img(
        images=[result.image],
        prompt="a blue fox",
        seed=7,
        steps=4,
        cfg_scale=3,
        denoising_strength=0.5,
        sampler_name="DPM++ 2M",
        **size,
    )
    request = Request(
        "a blue fox",
        seed=7,
        steps=4,
        guidance=3,
        sampler="dpmpp_2m",
        image=Source.picture(result.image),
        strength=0.5,
        fit="stretch",
        like="a1111",
        **size,
    )
    (picture,) = engine.submit(request).result().pictures
    assert again.image.convert("RGB").tobytes() == picture.image.tobytes()


def test_openai_edits_where_the_mask_is_clear_and_nowhere_else(live: LiveServer) -> None:
    start = half((200, 40, 40, 255), (200, 40, 40, 255))
    files = []
    for image in (start, half((0, 0, 0, 255), (0, 0, 0, 0))):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        files.append(buffer.getvalue())
    with openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0) as ai:
        sent = {"image": files[0], "mask": files[1], "prompt": "a green tree", "size": "128x128"}
        with ai.images.edit(
            **sent, stream=True, partial_images=1, extra_body={"steps": 4, "seed": 7}
        ) as stream:
            events = list(stream)
    assert [event.type for event in events][-1] == "image_edit.completed"
    edited = Image.open(io.BytesIO(base64.b64decode(events[-1].b64_json))).convert("RGB")
    change = ImageChops.difference(edited, start.convert("RGB")).convert("L")
    kept, painted = change.crop((0, 0, 48, 128)), change.crop((80, 0, 128, 128))
    assert kept.getextrema() == (0, 0)
    assert painted.getextrema()[1] > 60
