"""Stable Diffusion's family: long prompts in chunks; what an inpainting model hears."""

from dataclasses import replace

import pytest
import torch

from sfumato.families.base import Ground
from sfumato.families.sd import StableDiffusion
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, TextPart, UNetConfig, VaeConfig
from sfumato.weights.load import Parts

TEXT = ClipConfig(layers=1, width=8, heads=2, hidden=16)
SPEC = ModelSpec(
    name="small",
    title="Small",
    family="sd",
    texts=(TextPart(TEXT),),
    denoiser=UNetConfig(channels=(8, 8), depth=(1, 0), blocks=1, heads=2, context=8, groups=4),
    vae=VaeConfig(channels=(8, 8), blocks=1, groups=4),
    process=ProcessConfig(),
    defaults=Defaults(20, 7.0, "euler", "normal", 64, 64),
)
LONG = "fox " * 80
SIZE = (64, 64)


def family(spec: ModelSpec = SPEC) -> StableDiffusion:
    torch.manual_seed(0)
    parts = Parts(UNet(spec.denoiser).eval(), Vae(spec.vae).eval(), (ClipText(TEXT),))
    return StableDiffusion(spec, parts)


def test_a_short_prompt_is_one_chunk_of_77_states() -> None:
    (positive,), negative = family().encode(["a fox"], "", SIZE)
    assert positive.context.shape == negative.context.shape == (1, 77, 8)
    assert not torch.equal(positive.context, negative.context)


@pytest.mark.parametrize(("prompt", "negative"), [(LONG, "blurry"), ("blurry", LONG)])
def test_beside_a_long_prompt_the_shorter_one_is_followed_by_empty_chunks(
    prompt: str, negative: str
) -> None:
    model = family()
    (positive,), other = model.encode([prompt], negative, SIZE)
    pair = (positive, other)
    short = pair[0 if prompt == "blurry" else 1].context
    assert {c.context.shape for c in pair} == {(1, 154, 8)}
    (alone,), empty = model.encode(["blurry"], "", SIZE)
    torch.testing.assert_close(short, torch.cat([alone.context, empty.context], dim=1))


def test_of_several_prompts_all_are_as_long_as_the_longest() -> None:
    model = family()
    positives, negative = model.encode(["a fox", LONG, "a cat"], "blurry", SIZE)
    assert {c.context.shape for c in (*positives, negative)} == {(1, 154, 8)}
    (fox,), _ = model.encode(["a fox"], LONG, SIZE)
    assert torch.equal(positives[0].context, fox.context)
    nothing, alone = model.encode([], "blurry", SIZE)
    assert nothing == []
    assert alone.context.shape == (1, 77, 8)


def test_an_inpainting_model_without_a_mask_is_told_that_all_is_to_be_painted() -> None:
    model = family(replace(SPEC, denoiser=replace(SPEC.denoiser, in_channels=9)))
    shape = model.latent_shape(32, 16)
    told = model.told_of(None, shape)
    assert told is not None
    grey = model.encode_picture(torch.zeros(1, 3, 16, 32))
    torch.testing.assert_close(told, torch.cat([torch.ones(1, 1, *shape[1:]), grey], dim=1))
    assert family().told_of(None, shape) is None


def test_an_inpainting_model_is_told_the_mask_and_what_is_around_it() -> None:
    model = family(replace(SPEC, denoiser=replace(SPEC.denoiser, in_channels=9)))
    shape = model.latent_shape(32, 16)
    latent = torch.zeros(1, *shape)
    mask = torch.zeros(1, 1, *shape[1:], dtype=torch.bool)
    mask[..., 0] = True
    masked = torch.linspace(-1, 1, 3 * 16 * 32).view(1, 3, 16, 32)
    told = model.told_of(Ground(latent, latent, mask, masked), shape)
    assert told is not None
    assert told[:, :1].tolist() == mask.float().tolist()
    torch.testing.assert_close(told[:, 1:], model.encode_picture(masked))
