"""What is listed of a prompt is what the model hears of it, token by token."""

import pytest

from sfumato.catalog import CATALOG, model_spec
from sfumato.listing import Heard, first_alone, listed, unread
from sfumato.request import Request
from sfumato.text.clip import ClipTokenizer
from sfumato.text.prompt import read_weights


def heard(model: str, prompt: str, negative: str = "", **more: object) -> list[Heard]:
    learnt = more.pop("learnt", {})
    assert isinstance(learnt, dict)
    request = Request(prompt, negative, **more)  # pyright: ignore
    return listed(model_spec(model), request, learnt)


def spelled(each: Heard) -> str:
    return "".join(
        token.text + (" " if token.ends else "") for chunk in each.chunks for token in chunk.tokens
    ).strip()


@pytest.mark.parametrize("model", ["mini", "sd15", "sd21", "sdxl"])
def test_the_tokens_spell_the_prompt(model: str) -> None:
    prompt, negative = heard(model, "a photorealistic Fox, in snow", "blurry")
    assert (prompt.what, negative.what) == ("prompt", "negative")
    assert spelled(prompt) == "a photorealistic fox , in snow"
    assert spelled(negative) == "blurry"
    assert prompt.count == sum(len(chunk.tokens) for chunk in prompt.chunks)
    assert (prompt.step, prompt.weight, prompt.beyond, prompt.unknown) == (1, 1.0, "", ())


def test_numbers_weights_and_chunks_are_those_that_the_encoder_gets() -> None:
    text = "a (red:1.3) [fox], " * 20 + "BREAK and (rain)"
    (prompt, _) = heard("sd15", text)
    chunks = ClipTokenizer().weighted(read_weights(text, "a1111"))
    assert [tuple(token.id for token in chunk.tokens) for chunk in prompt.chunks] == [
        chunk.ids[1 : chunk.count + 1] for chunk in chunks
    ]
    assert [tuple(token.weight for token in chunk.tokens) for chunk in prompt.chunks] == [
        chunk.weights[1 : chunk.count + 1] for chunk in chunks
    ]
    assert len(prompt.chunks) == 3
    assert all(chunk.room == 75 for chunk in prompt.chunks)
    (plain, _) = heard("sd15", "(red)", weighting="plain")
    assert [token.text for token in plain.chunks[0].tokens] == ["(", "red", ")"]


def test_an_embedding_is_a_token_for_each_of_its_vectors() -> None:
    (prompt, _) = heard("sdxl", "a (inkwash:1.2) cat", learnt={"inkwash": 3})
    tokens = prompt.chunks[0].tokens
    assert [(t.text, t.learnt, t.weight) for t in tokens] == [
        ("a", False, 1.0),
        *[("inkwash", True, 1.2)] * 3,
        ("cat", False, 1.0),
    ]
    assert prompt.encoders == ("text_encoder", "text_encoder_2")


def test_what_changes_on_the_way_and_what_and_joins_are_listed_by_step_and_weight() -> None:
    found = heard("sd15", "a [cat:dog:0.5] AND rain:0.3", steps=10)
    assert [(each.step, each.weight, spelled(each)) for each in found if each.text] == [
        (1, 1.0, "a cat"),
        (1, 0.3, "rain"),
        (6, 1.0, "a dog"),
        (6, 0.3, "rain"),
    ]
    assert {each.step for each in heard("sd15", "[a:b:0.5]")} == {1, 13}  # of the model's own 25


def test_what_falls_off_and_what_mini_cannot_read_is_named() -> None:
    (prompt, _) = heard("mini", "fox " * 29 + "snow rain 狐 —")
    assert prompt.beyond == "rain 狐 —"
    assert prompt.unknown == ("狐",)
    assert len(prompt.chunks[0].tokens) == prompt.chunks[0].room == 30
    (prompt, _) = heard("sd15", "fox " * 500)
    assert (prompt.beyond, prompt.count, len(prompt.chunks)) == ("", 500, 7)


def test_characters_of_several_tokens_and_marks_are_written_out() -> None:
    (prompt, _) = heard("sd15", "狐 <|endoftext|> x")
    texts = [token.text for token in prompt.chunks[0].tokens]
    assert texts[-2:] == ["<|endoftext|>", "x"]
    assert texts[0].startswith("\\x") or texts[0] == "狐"


@pytest.mark.parametrize("name", CATALOG)
def test_every_model_of_the_catalog_is_listed_or_says_what_is_not_read(name: str) -> None:
    spec = model_spec(name)
    told = {encoder for each in heard(name, "a cat") for encoder in each.encoders}
    assert told | set(unread(spec)) == {part.name for part in spec.texts}


def test_of_a_long_prompt_flux_hears_the_first_chunk_by_clip() -> None:
    (prompt, _) = heard("flux-dev", "fox " * 100)
    assert [len(chunk.tokens) for chunk in prompt.chunks] == [75]
    assert first_alone(model_spec("flux-dev")) == ("text_encoder",)
    assert first_alone(model_spec("sd3-medium")) == ()
    (prompt, _) = heard("sd3-medium", "fox " * 100)
    assert [len(chunk.tokens) for chunk in prompt.chunks] == [75, 25]


def test_a_prompt_of_ten_thousand_brackets_is_listed() -> None:
    (prompt, _) = heard("sd15", "[" * 5000 + "a" + "]" * 5000)
    assert prompt.count == 1
