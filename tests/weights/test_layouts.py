"""The key tables name every tensor of Stable Diffusion 1.5 as it was published, at full size."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils
from transformers import CLIPTextConfig, CLIPTextModel

from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.spec import ClipConfig, UNetConfig, VaeConfig
from sfumato.weights.layouts import diffusers, original
from sfumato.weights.layouts.table import Table

SDXL = UNetConfig(
    channels=(320, 640, 1280),
    depth=(0, 2, 10),
    middle=10,
    heads=None,
    head_width=64,
    context=2048,
    linear_projection=True,
    added=2816,
)
SD2 = UNetConfig(heads=None, head_width=64, context=1024, linear_projection=True)


def named(network: torch.nn.Module, table: Table) -> dict[str, torch.Tensor]:
    """The network's tensors by the layout's keys; attention of the autoencoder as convolutions."""
    state: Mapping[str, torch.Tensor] = network.state_dict()
    renamed = {table.usual(ours): tensor for ours, tensor in state.items()}
    return {
        key: tensor[:, :, None, None] if "mid.attn_1" in key and tensor.ndim == 2 else tensor
        for key, tensor in renamed.items()
    }


def shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def meta(network: Any, config: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return network(config)


@pytest.mark.parametrize(
    ("channels", "digest"),
    [
        (4, "373c6bbd3fb3a51ca15e5c70c2e87c2797c8e575a125186278d6e4c26fac2015"),
        (9, "6803cc61eed08b378cf8a1045cbd53b8a4bd507e2dc37a69e5049a7e1b1a000b"),
    ],
)
def test_the_original_keys_are_those_of_compvis(channels: int, digest: str) -> None:
    # The digests are of the state dict of CompVis/stable-diffusion's own modules, built from
    # v1-inference.yaml on the meta device: 686 + 248 + 196 lines "key AxBxC", sorted.
    state = (
        named(meta(UNet, c := UNetConfig(in_channels=channels)), original.unet(c))
        | named(meta(Vae, VaeConfig()), original.vae(VaeConfig()))
        | named(meta(ClipText, ClipConfig()), original.text(ClipConfig()))
    )
    lines = [f"{key} {'x'.join(map(str, shape))}" for key, shape in sorted(shapes(state).items())]
    assert len(lines) == 1130
    assert sum(tensor.numel() for tensor in state.values()) == (
        1_066_235_307 + 320 * 9 * (channels - 4)
    )
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest


UNETS = {
    "sd15": (UNetConfig(), {}),
    "sd21": (
        SD2,
        {
            "attention_head_dim": (5, 10, 20, 20),
            "cross_attention_dim": 1024,
            "use_linear_projection": True,
        },
    ),
    "sdxl": (
        SDXL,
        {
            "block_out_channels": (320, 640, 1280),
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
    ),
}


@pytest.mark.parametrize("name", UNETS)
def test_the_unet_has_diffusers_keys_and_their_converter_agrees(name: str) -> None:
    config, settings = UNETS[name]
    with torch.device("meta"):
        oracle = UNet2DConditionModel(**({"cross_attention_dim": 768} | settings))
    network = meta(UNet, config)
    assert shapes(named(network, diffusers.unet(config, ("",)))) == shapes(oracle.state_dict())
    converted = single_file_utils.convert_ldm_unet_checkpoint(
        named(network, original.unet(config)), oracle.config
    )
    assert shapes(converted) == shapes(oracle.state_dict())


@pytest.mark.parametrize("channels", [4, 16])
def test_the_autoencoder_has_diffusers_keys_and_their_converter_agrees(channels: int) -> None:
    config = VaeConfig(latent_channels=channels)
    with torch.device("meta"):
        oracle = AutoencoderKL(
            latent_channels=channels,
            block_out_channels=config.channels,
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
        )
    network = meta(Vae, config)
    assert shapes(named(network, diffusers.vae(config, ""))) == shapes(oracle.state_dict())
    converted = single_file_utils.convert_ldm_vae_checkpoint(
        named(network, original.vae(config)), oracle.config
    )
    assert shapes(converted) == shapes(oracle.state_dict())


def test_the_text_encoder_has_transformers_keys() -> None:
    with torch.device("meta"):
        oracle = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=768,
                intermediate_size=3072,
                num_attention_heads=12,
            )
        )
    config = ClipConfig()
    table = diffusers.text(config, "")
    keys = {list(table.candidates(ours))[-1] for ours in meta(ClipText, config).state_dict()}
    assert keys == set(oracle.state_dict())


def test_no_two_of_our_tensors_share_a_key() -> None:
    for config in (UNetConfig(), SD2, SDXL):
        for room in (original, diffusers):
            rows = room.unet(config).rows
            assert rows is not None
            assert len(set(rows.values())) == len(rows)
