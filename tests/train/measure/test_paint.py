"""Painted together, pictures are what the pipeline paints of each alone."""

from collections.abc import Sequence

import numpy as np
import pytest

from sfumato.errors import PromptError
from sfumato.families.mini import Mini
from sfumato.images import to_images
from sfumato.nn.bert import TextTower
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.pipeline import generate
from sfumato.request import Request
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train.measure.paint import Settings, paint
from sfumato.train.start import start
from sfumato.weights.load import Parts
from tests.train import tiny


@pytest.fixture(scope="module")
def model() -> Mini:
    unet, vae, text = UNet(tiny.UNET), Vae(tiny.VAE), TextTower(tiny.TEXT)
    for seed, part in enumerate((unet, vae, text)):
        start(part, seed)
        part.eval().requires_grad_(False)
    text.bert = tiny.reader().bert
    made = Mini(tiny.SPEC, Parts(unet, vae, (text,)))
    made.tokenizer = WordPieceTokenizer(tiny.WORDS, tiny.TEXT.length)
    return made


WANTED = [("a dog", 3), ("a red car, 3d", 4), ("a dog", 5)]


def test_a_batch_holds_what_each_request_alone_gives(model: Mini) -> None:
    made = paint(model, WANTED, Settings(2, 3.0))
    for picture, (prompt, seed) in zip(made, WANTED, strict=True):
        request = Request(prompt, seed=seed, steps=2, guidance=3.0, width=32, height=32)
        request = tiny.resolved(request)
        *_, last = generate(model, request)
        (alone,) = to_images(model.decode(last.x))
        assert np.abs(picture.astype(int) - np.asarray(alone).astype(int)).max() <= 1
    assert len(np.unique(made.reshape(3, -1), axis=0)) == 3


def test_guidance_and_steps_have_an_effect(model: Mini) -> None:
    usual = paint(model, WANTED[:1], Settings(2, 3.0))
    for other in (Settings(3, 3.0), Settings(2, 1.0)):
        assert not np.array_equal(paint(model, WANTED[:1], other), usual)


def test_a_prompt_that_cannot_be_read_is_named(model: Mini) -> None:
    with pytest.raises(PromptError, match="zebra"):
        paint(model, [("a zebra", 1)], Settings(2, 3.0))


def test_a_prompt_that_comes_again_is_read_once(
    model: Mini, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = model.encode

    def encode(prompts: Sequence[str], *rest: object) -> object:
        asked.extend(prompts)
        return read(prompts, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(model, "encode", encode)
    made = paint(model, WANTED, Settings(2, 1.0))
    assert asked == ["a dog", "a red car, 3d"]
    assert len(made) == 3
