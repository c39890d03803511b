"""What a prompt calls otherwise than the bundled model's family does is read by its name too."""

from dataclasses import replace

import pytest
import torch

from sfumato.errors import PromptError
from sfumato.families.base import Conditioning
from sfumato.families.mini import Mini
from sfumato.hearing import taken
from sfumato.nn.bert import TextTower
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.request import Request
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train.start import start
from sfumato.weights.load import Parts
from tests.train import tiny

NAMES = ("a dog", "a car", "a star")


def made(sure: int | None, names: tuple[str, ...] = NAMES, length: int = 24) -> Mini:
    """A model that takes every prompt for the name of this place, or that has no names."""
    text = replace(tiny.TEXT, names=() if sure is None else names, naming=4)
    spec = replace(tiny.SPEC, texts=(replace(tiny.SPEC.texts[0], config=text),))
    unet, vae, tower = UNet(tiny.UNET), Vae(tiny.VAE), TextTower(text)
    for seed, part in enumerate((unet, vae, tower.bert, tower.adapter)):
        start(part, seed)
    if tower.naming is not None and sure is not None:
        torch.nn.init.zeros_(tower.naming.names.weight)
        torch.nn.init.zeros_(tower.naming.names.bias)
        with torch.no_grad():
            tower.naming.names.bias[sure] = 9.0
    tower.bert = tiny.reader().bert
    for part in (unet, vae, tower):
        part.eval().requires_grad_(False)
    family = Mini(spec, Parts(unet, vae, (tower,)))
    family.tokenizer = WordPieceTokenizer(tiny.WORDS, length)
    return family


def read(family: Mini, prompt: str, negative: str = "") -> tuple[Conditioning, Conditioning]:
    (positive,), against = family.encode([prompt], negative, (32, 32))
    return positive, against


def alike(first: Conditioning, second: Conditioning) -> bool:
    assert first.added is not None
    assert second.added is not None
    return torch.equal(first.context, second.context) and torch.equal(first.added, second.added)


@pytest.mark.parametrize("weighting", ["plain", "a1111"])
def test_the_likeliest_name_is_read_before_the_prompt(weighting: str) -> None:
    family, plain = made(1), made(None)
    assert family.taken("a small thing, 3d", weighting) == "a car"
    assert alike(read(family, "a small thing, 3d")[0], read(plain, "a car, a small thing, 3d")[0])


def test_weights_in_the_prompt_stay_where_they_are() -> None:
    told, plain = "a (small:1.4) thing", "a car, a (small:1.4) thing"
    assert alike(read(made(1), told)[0], read(made(None), plain)[0])


def test_the_negative_prompt_is_read_as_it_stands() -> None:
    assert alike(read(made(1), "a dog", "thing")[1], read(made(None), "a dog", "thing")[1])


def test_a_model_without_names_reads_the_prompt_alone() -> None:
    assert made(None).taken("a small thing", "a1111") is None


@pytest.mark.parametrize("prompt", ["", "a car, 3d", "the car, flat"])
def test_nothing_is_added_to_no_words_nor_to_the_name_itself(prompt: str) -> None:
    family = made(1)
    assert family.taken(prompt, "a1111") is None
    assert alike(read(family, prompt)[0], read(made(None), prompt)[0])


def test_nothing_is_added_where_no_name_is_likely() -> None:
    assert made(len(NAMES)).taken("a small thing", "a1111") is None
    family = made(1)
    assert family.text.naming is not None
    family.text.naming.names.bias.zero_()  # all alike
    family.text.naming.names.bias[1] = 0.01
    assert family.taken("a small thing", "a1111") is None


def test_nothing_is_added_where_the_prompt_has_a_name_that_may_be_meant() -> None:
    family = made(1)
    assert family.text.naming is not None
    assert family.taken("a dog thing", "a1111") == "a car"  # a dog is out of the question
    family.text.naming.names.bias[0] = 8.0
    assert family.taken("a dog thing", "a1111") is None
    assert family.taken("a small thing", "a1111") == "a car"


def test_nothing_is_added_where_there_is_no_room_for_it() -> None:
    prompt = "a small red thing in the style of line art"
    pieces = len(tiny.reader().tokenizer.read(prompt).ids)
    assert made(1, length=pieces + 2 + 3).taken(prompt, "a1111") == "a car"
    assert made(1, length=pieces + 2 + 2).taken(prompt, "a1111") is None
    assert made(1, length=pieces + 1).taken(prompt, "a1111") is None


def test_a_prompt_that_is_too_long_is_refused_as_without_names() -> None:
    with pytest.raises(PromptError, match=r"fall off|falls off|too long"):
        read(made(1, length=6), "a small red thing in the style of line art")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_in_half_precision_the_same_name_is_read(dtype: torch.dtype) -> None:
    family = made(1)
    family.text.to(dtype)
    assert family.taken("a small thing", "a1111") == "a car"


def test_what_is_taken_for_a_request_is_told_once_for_all_its_prompts() -> None:
    def told(prompt: str) -> tuple[str, ...]:
        request = Request(prompt, seed=1, steps=4, width=32, height=32)
        resolved = tiny.resolved(request)
        return taken(made(1), resolved)

    assert told("a small thing AND a big thing:0.5") == ("a car",)
    assert told("a [small|big] thing") == ("a car",)
    assert told("a car AND the car") == ()
