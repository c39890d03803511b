"""At full size, the tables of SD 3 and Flux name every tensor as published, in both layouts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from diffusers.loaders import single_file_utils
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5EncoderModel
from transformers import T5Config as TheirT5Config

from sfumato.nn.clip import ClipText
from sfumato.nn.flux import Flux
from sfumato.nn.mmdit import MMDiT
from sfumato.nn.t5 import T5Encoder
from sfumato.spec import ClipConfig, FluxConfig, MMDiTConfig, T5Config
from sfumato.weights.layouts import diffusers
from sfumato.weights.layouts import transformers as layouts
from sfumato.weights.layouts.original import text as original_text
from sfumato.weights.layouts.table import Table

MEDIUM = MMDiTConfig()
MEDIUM_35 = MMDiTConfig(positions=384, qk_norm=True, dual=13)
LARGE_35 = MMDiTConfig(width=2432, depth=38, heads=38, qk_norm=True)


def meta(network: Any, config: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return network(config)


def shapes(state: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in state.items()}


def named(network: torch.nn.Module, table: Table) -> dict[str, torch.Tensor]:
    return {table.usual(ours): tensor for ours, tensor in network.state_dict().items()}


def every_key_is_placed(network: torch.nn.Module, table: Table, theirs: dict[str, Any]) -> None:
    """Both ways: each of our tensors has its place and shape, and no key of theirs is left."""
    used: set[str] = set()
    for ours, tensor in network.state_dict().items():
        place = next(table.places(ours))
        assert place.shape([theirs[key] for key in place.keys]) == tuple(tensor.shape), ours
        used |= set(place.keys)
    assert used == set(theirs)


@pytest.mark.parametrize(
    "config", [MEDIUM, MEDIUM_35, LARGE_35], ids=["3-medium", "3.5-medium", "3.5-large"]
)
def test_stable_diffusion_3_in_both_layouts(config: MMDiTConfig) -> None:
    with torch.device("meta"):
        oracle = SD3Transformer2DModel(
            sample_size=128,
            patch_size=2,
            in_channels=16,
            num_layers=config.depth,
            attention_head_dim=64,
            num_attention_heads=config.heads,
            joint_attention_dim=4096,
            caption_projection_dim=config.width,
            pooled_projection_dim=2048,
            out_channels=16,
            pos_embed_max_size=config.positions,
            dual_attention_layers=tuple(range(config.dual)),
            qk_norm="rms_norm" if config.qk_norm else None,
        )
    network = meta(MMDiT, config)
    theirs = shapes(oracle.state_dict())
    every_key_is_placed(network, layouts.mmdit_diffusers(config, ("",)), theirs)
    converted = single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers(
        named(network, layouts.mmdit(config))
    )
    # Their converter leaves out the places, which their model computes and then overwrites.
    assert shapes(converted) | {"pos_embed.pos_embed": theirs["pos_embed.pos_embed"]} == theirs


@pytest.mark.parametrize("guided", [True, False], ids=["dev", "schnell"])
def test_flux_in_both_layouts(guided: bool) -> None:
    config = replace(FluxConfig(), guidance=guided)
    with torch.device("meta"):
        oracle = FluxTransformer2DModel(guidance_embeds=guided)
    network = meta(Flux, config)
    theirs = shapes(oracle.state_dict())
    every_key_is_placed(network, layouts.flux_diffusers(config, ("",)), theirs)
    converted = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(
        named(network, layouts.flux(config, ("",)))
    )
    assert shapes(converted) == theirs
    assert sum(t.numel() for t in network.state_dict().values()) == (
        11_901_408_320 if guided else 11_891_178_560
    )


def test_t5_xxl() -> None:
    with torch.device("meta"):
        oracle = T5EncoderModel(
            TheirT5Config(
                vocab_size=32128,
                d_model=4096,
                d_kv=64,
                d_ff=10240,
                num_layers=24,
                num_heads=64,
                feed_forward_proj="gated-gelu",
            )
        )
    theirs = shapes(oracle.state_dict())
    del theirs["encoder.embed_tokens.weight"]
    config = T5Config()
    every_key_is_placed(meta(T5Encoder, config), layouts.t5(config), theirs)


@pytest.mark.parametrize(
    ("table", "config", "network"),
    [
        (layouts.mmdit, LARGE_35, MMDiT),
        (layouts.mmdit_diffusers, LARGE_35, MMDiT),
        (layouts.flux, FluxConfig(), Flux),
        (layouts.flux_diffusers, FluxConfig(), Flux),
    ],
    ids=["mmdit", "mmdit_diffusers", "flux", "flux_diffusers"],
)
def test_no_two_of_our_tensors_share_a_piece(
    table: Callable[[Any], Table], config: Any, network: Any
) -> None:
    ours = meta(network, config).state_dict()
    keys = [key for name in ours for key in next(table(config).places(name)).keys]
    assert len(keys) == len(set(keys))


OPEN_CLIP_H = ClipConfig(
    layers=23, width=1024, heads=16, hidden=4096, activation="gelu", pad=0, open_clip=True
)
OPEN_CLIP_G = ClipConfig(
    layers=32,
    width=1280,
    heads=20,
    hidden=5120,
    activation="gelu",
    take=-2,
    final_norm=False,
    projection=1280,
    pad=0,
    open_clip=True,
)


@pytest.mark.parametrize(
    ("config", "place"),
    [(OPEN_CLIP_H, "cond_stage_model.model."), (OPEN_CLIP_G, "conditioner.embedders.1.model.")],
    ids=["sd2", "sdxl"],
)
def test_open_clip_in_both_layouts(config: ClipConfig, place: str) -> None:
    with torch.device("meta"):
        oracle = CLIPTextModelWithProjection(
            CLIPTextConfig(
                vocab_size=49408,
                hidden_size=config.width,
                intermediate_size=config.hidden,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                projection_dim=config.projection or config.width,
            )
        )
    theirs = shapes(oracle.state_dict())
    if config.projection is None:
        del theirs["text_projection.weight"]
    network = meta(ClipText, config)
    keys = [list(diffusers.text(config, "").candidates(name)) for name in network.state_dict()]
    assert all(any(key in theirs for key in names) for names in keys)
    assert len(theirs) == len(network.state_dict())
    original = open_clip_state(network, original_text(config, place))
    converted = single_file_utils.convert_open_clip_checkpoint(oracle, original, place)
    bare = {key.removeprefix("text_model."): shape for key, shape in shapes(converted).items()}
    assert bare == {key.removeprefix("text_model."): shape for key, shape in theirs.items()}


def open_clip_state(network: torch.nn.Module, table: Table) -> dict[str, torch.Tensor]:
    """Our tensors put together again as OpenCLIP keeps them."""
    pieces: dict[str, list[torch.Tensor]] = {}
    for name, tensor in network.state_dict().items():
        place = next(table.places(name))
        (key,) = place.keys
        pieces.setdefault(key, []).append(tensor.T if place.pieces.turned else tensor)
    return {key: torch.cat(parts) for key, parts in pieces.items()}
