"""Stable Diffusion's family: long prompts in chunks, and what it cannot do is refused by name."""

from dataclasses import replace

import pytest
import torch

from sfumato.errors import RequestError
from sfumato.families.sd import StableDiffusion
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.request import Defaults
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, UNetConfig, VaeConfig

TEXT = ClipConfig(layers=1, width=8, heads=2, hidden=16)
SPEC = ModelSpec(
    name="small",
    title="Small",
    family="sd",
    text=TEXT,
    unet=UNetConfig(channels=(8, 8), depth=(1, 0), blocks=1, heads=2, context=8, groups=4),
    vae=VaeConfig(channels=(8, 8), blocks=1, groups=4),
    process=ProcessConfig(),
    defaults=Defaults(20, 7.0, "euler", "normal", 64, 64),
)
LONG = "fox " * 80


def family(spec: ModelSpec = SPEC) -> StableDiffusion:
    torch.manual_seed(0)
    return StableDiffusion(spec, UNet(spec.unet).eval(), Vae(spec.vae).eval(), ClipText(TEXT))


def test_a_short_prompt_is_one_chunk_of_77_states() -> None:
    positive, negative = family().encode("a fox", "")
    assert positive.context.shape == negative.context.shape == (1, 77, 8)
    assert not torch.equal(positive.context, negative.context)


@pytest.mark.parametrize(("prompt", "negative"), [(LONG, "blurry"), ("blurry", LONG)])
def test_beside_a_long_prompt_the_shorter_one_is_followed_by_empty_chunks(
    prompt: str, negative: str
) -> None:
    model = family()
    pair = model.encode(prompt, negative)
    short = pair[0 if prompt == "blurry" else 1].context
    assert {c.context.shape for c in pair} == {(1, 154, 8)}
    alone, empty = model.encode("blurry", "")
    torch.testing.assert_close(short, torch.cat([alone.context, empty.context], dim=1))


def test_a_model_that_needs_a_mask_is_refused_by_name() -> None:
    spec = replace(SPEC, title="Small inpainting", unet=replace(SPEC.unet, in_channels=9))
    with pytest.raises(RequestError, match="Small inpainting fills in a masked picture"):
        family(spec)
