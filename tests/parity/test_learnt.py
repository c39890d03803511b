"""Embeddings are heard as diffusers hears them after `load_textual_inversion`."""

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file

from sfumato.families.base import Reading
from sfumato.weights.learnt import open_learnt
from tests.parity.small import make_parts, saved_and_loaded
from tests.parity.test_xl import BASE, FIRST, SECOND, model_of, pipe_of

SIZE = (64, 64)
PROMPT, NEGATIVE = "a photo of inkwash, in the snow, inkwash", "blurry"


def vectors(count: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count * width)
    return torch.randn(count, width, generator=generator)


def expanded(prompt: str, count: int) -> str:
    """diffusers has a token for each vector: inkwash inkwash_1 inkwash_2."""
    every = " ".join(["inkwash", *(f"inkwash_{n}" for n in range(1, count))])
    return prompt.replace("inkwash", every)


@pytest.mark.parametrize("form", ["string_to_param", "emb_params", "learned_embeds"])
@pytest.mark.parametrize("count", [1, 4])
def test_of_stable_diffusion_1(
    form: str, count: int, randomised: Any, tmp_path: Path, relative: Any
) -> None:
    pipe = diffusers.StableDiffusionPipeline(**make_parts(randomised))
    model = saved_and_loaded(pipe, tmp_path / "model")
    learnt = vectors(count, 32)
    path = tmp_path / "inkwash.pt"
    if form == "emb_params":
        path = tmp_path / "inkwash.safetensors"
        save_file({"emb_params": learnt}, path)
    elif form == "string_to_param":
        torch.save(
            {"string_to_token": {"*": 265}, "string_to_param": {"*": learnt}, "name": "i"}, path
        )
    else:
        torch.save({"<inkwash>": learnt}, path)
    pipe.load_textual_inversion(str(path), token="inkwash")
    reading = Reading("a1111", (open_learnt(path),))
    (positive,), negative = model.encode([PROMPT], NEGATIVE, SIZE, reading)
    with torch.no_grad():
        expected, other = pipe.encode_prompt(PROMPT, "cpu", 1, True, NEGATIVE)
    assert relative(positive.context, expected) <= 1e-5
    assert relative(negative.context, other) <= 1e-5
    (words,), _ = model.encode([PROMPT], NEGATIVE, SIZE)
    assert not torch.allclose(words.context, positive.context, atol=1e-3)


def test_of_stable_diffusion_xl(randomised: Any, tmp_path: Path, relative: Any) -> None:
    pipe = pipe_of(BASE, randomised)
    model = model_of(BASE, pipe, tmp_path / "model")
    parts = {"clip_l": vectors(2, FIRST.width), "clip_g": vectors(2, SECOND.width)}
    path = tmp_path / "inkwash.safetensors"
    save_file(parts, path)
    first, second = pipe.tokenizer, pipe.tokenizer_2
    pipe.load_textual_inversion(
        parts["clip_l"], token="inkwash", text_encoder=pipe.text_encoder, tokenizer=first
    )
    pipe.load_textual_inversion(
        parts["clip_g"], token="inkwash", text_encoder=pipe.text_encoder_2, tokenizer=second
    )
    learnt = open_learnt(path)
    assert learnt.fits(model.spec.embeds)
    (positive,), _ = model.encode([PROMPT], NEGATIVE, SIZE, Reading("a1111", (learnt,)))
    with torch.no_grad():
        expected, _, pooled, _ = pipe.encode_prompt(PROMPT, negative_prompt=NEGATIVE)
    assert relative(positive.context, expected) <= 1e-5
    assert positive.added is not None
    assert relative(positive.added[:, :40], pooled) <= 1e-5
