"""The U-Net computes what diffusers' computes, from weights in either published layout."""

from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0

from sfumato.nn.layers import time_embedding
from sfumato.nn.unet import UNet
from sfumato.spec import UNetConfig
from sfumato.weights.layouts import diffusers, original
from sfumato.weights.load import load_part

WIDE = (32, 64, 96, 96)
THREE = (32, 64, 96)

# Ours, and what diffusers says differently: the shapes of the families, a tenth of their width.
VARIANTS: dict[str, tuple[UNetConfig, dict[str, Any]]] = {
    "sd1": (
        UNetConfig(channels=WIDE, heads=4, context=24, groups=8),
        {"attention_head_dim": 4},
    ),
    "sd1-inpaint": (
        UNetConfig(in_channels=9, channels=WIDE, heads=4, context=24, groups=8),
        {"attention_head_dim": 4, "in_channels": 9},
    ),
    "sd2": (
        UNetConfig(
            channels=WIDE, heads=None, head_width=16, context=40, linear_projection=True, groups=8
        ),
        {
            "attention_head_dim": (2, 4, 6, 6),
            "cross_attention_dim": 40,
            "use_linear_projection": True,
        },
    ),
    "sdxl": (
        UNetConfig(
            channels=THREE,
            depth=(0, 2, 3),
            middle=3,
            heads=None,
            head_width=16,
            context=48,
            linear_projection=True,
            added=64,
            groups=8,
        ),
        {
            "block_out_channels": THREE,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 3),
            "attention_head_dim": (2, 4, 6),
            "cross_attention_dim": 48,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 64,
        },
    ),
}


def oracle_of(settings: dict[str, Any], randomised: Any) -> UNet2DConditionModel:
    torch.manual_seed(0)
    common: dict[str, Any] = {
        "block_out_channels": WIDE,
        "cross_attention_dim": 24,
        "norm_num_groups": 8,
    }
    return randomised(UNet2DConditionModel(**(common | settings)), 1)


def inputs(config: UNetConfig, size: tuple[int, int]) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(2, config.in_channels, *size, generator=generator)
    context = torch.randn(2, 7, config.context, generator=generator)
    return x, torch.tensor([3.0, 741.0]), context


def added_of(config: UNetConfig) -> tuple[torch.Tensor | None, dict[str, Any]]:
    """The added conditioning, as one vector for ours and in its parts for diffusers."""
    if config.added is None:
        return None, {}
    pooled = torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
    sizes = torch.tensor([[512.0, 512, 0, 0, 1024, 768], [768, 512, 8, 16, 512, 512]])
    folded = time_embedding(sizes.flatten(), 8).view(2, 48)
    parts = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
    return torch.cat([pooled, folded], dim=1), parts


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("name", VARIANTS)
def test_the_output_is_that_of_diffusers(
    name: str, layout: str, randomised: Any, stored: Any, in_layout: Any, relative: Any
) -> None:
    config, settings = VARIANTS[name]
    oracle = oracle_of(settings, randomised)
    table = diffusers.unet(config, ("",))
    network = load_part(UNet, config, stored(oracle.state_dict()), table, torch.float32)
    if layout == "original":
        # Written by our table, read by it again, and read by diffusers' own converter.
        state = in_layout(network, original.unet(config))
        converted = convert_ldm_unet_checkpoint(state, oracle.config)
        assert all(torch.equal(converted[k], v) for k, v in oracle.state_dict().items())
        table = original.unet(config)
        network = load_part(UNet, config, stored(state), table, torch.float32)
    x, time, context = inputs(config, (16, 16))
    added, parts = added_of(config)
    with torch.no_grad():
        theirs = oracle(x, time, context, **parts).sample
        ours = network(x, time, context, added=added)
    assert relative(ours, theirs) <= 1e-5


@pytest.fixture
def pair(randomised: Any, stored: Any) -> tuple[UNet, UNet2DConditionModel, UNetConfig]:
    config, settings = VARIANTS["sd1"]
    oracle = oracle_of(settings, randomised)
    weights = stored(oracle.state_dict())
    network = load_part(UNet, config, weights, diffusers.unet(config, ("",)), torch.float32)
    return network, oracle, config


def test_a_size_that_does_not_halve_evenly_is_that_of_diffusers(pair: Any, relative: Any) -> None:
    network, oracle, config = pair
    x, time, context = inputs(config, (11, 18))
    with torch.no_grad():
        assert relative(network(x, time, context), oracle(x, time, context).sample) <= 1e-5


def test_controlnet_residuals_are_those_of_diffusers(pair: Any, relative: Any) -> None:
    network, oracle, config = pair
    x, time, context = inputs(config, (16, 16))
    generator = torch.Generator().manual_seed(4)
    sizes = [16, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2]
    widths = [32, 32, 32, 32, 64, 64, 64, 96, 96, 96, 96, 96]
    residuals = [
        torch.randn(2, width, size, size, generator=generator)
        for width, size in zip([*widths, 96], [*sizes, 2], strict=True)
    ]
    with torch.no_grad():
        theirs = oracle(
            x,
            time,
            context,
            down_block_additional_residuals=tuple(residuals[:-1]),
            mid_block_additional_residual=residuals[-1],
        ).sample
        ours = network(x, time, context, residuals=residuals)
    assert relative(ours, theirs) <= 1e-5


def test_masked_tokens_are_those_of_diffusers(pair: Any, relative: Any) -> None:
    network, oracle, config = pair
    x, time, context = inputs(config, (8, 8))
    mask = torch.tensor([[True] * 4 + [False] * 3, [True] * 7])
    with torch.no_grad():
        theirs = oracle(x, time, context, encoder_attention_mask=mask).sample
        ours = network(x, time, context, mask=mask[:, None, None])
    assert relative(ours, theirs) <= 1e-5


def test_a_second_key_and_value_is_diffusers_ip_adapter(
    pair: Any, randomised: Any, relative: Any
) -> None:
    network, oracle, config = pair
    x, time, context = inputs(config, (8, 8))
    picture = torch.randn(2, 4, 24, generator=torch.Generator().manual_seed(5))
    adapters = {}
    for name, old in oracle.attn_processors.items():
        if "attn2" in name:
            width = oracle.get_submodule(name.removesuffix(".processor")).to_q.out_features
            adapters[name] = randomised(
                IPAdapterAttnProcessor2_0(width, 24, num_tokens=(4,), scale=0.7), len(adapters)
            )
        else:
            adapters[name] = old
    oracle.set_attn_processor(dict(adapters))  # it empties what it is given
    order = ("down_blocks", "mid_block", "up_blocks")
    cross = [name for name in adapters if "attn2" in name]
    running = sorted(cross, key=lambda name: order.index(name.split(".")[0]))
    with torch.no_grad():
        extra = [
            (adapters[n].to_k_ip[0](picture), 0.7 * adapters[n].to_v_ip[0](picture))
            for n in running
        ]
        theirs = oracle(x, time, (context, [picture[:, None]])).sample
        ours = network(x, time, context, extra=extra)
    assert relative(ours, theirs) <= 1e-5
