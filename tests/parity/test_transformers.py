"""MMDiT, Flux, T5 and OpenCLIP compute what diffusers, transformers and open_clip compute."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from torch import Tensor, nn
from transformers import T5Config as TheirT5Config
from transformers import T5EncoderModel

from sfumato.nn.clip import ClipText
from sfumato.nn.flux import Flux
from sfumato.nn.mmdit import MMDiT
from sfumato.nn.t5 import T5Encoder
from sfumato.spec import ClipConfig, FluxConfig, MMDiTConfig, T5Config
from sfumato.weights.layouts import transformers as layouts
from sfumato.weights.layouts.table import Table
from sfumato.weights.load import load_part

State = dict[str, Tensor]
MMDIT = MMDiTConfig(
    in_channels=4, out_channels=4, width=48, depth=3, heads=3, context=40, pooled=24, positions=12
)
FLUX = FluxConfig(
    in_channels=4,
    out_channels=4,
    width=48,
    heads=3,
    double=2,
    single=3,
    context=40,
    pooled=24,
    axes=(4, 6, 6),
)


def inputs(batch: int, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(batch, channels, 12, 8, generator=draw)
    context = torch.randn(batch, 7, 40, generator=draw)
    pooled = torch.randn(batch, 24, generator=draw)
    return x, torch.tensor([737.0, 12.5])[:batch], context, pooled


def unpicked(network: nn.Module, table: Table) -> State:
    """Our tensors by the keys of a layout that keeps them whole."""
    return {table.usual(ours): tensor for ours, tensor in network.state_dict().items()}


@pytest.mark.parametrize(
    "config",
    [MMDIT, replace(MMDIT, qk_norm=True), replace(MMDIT, qk_norm=True, dual=2)],
    ids=["3", "3.5 large", "3.5 medium"],
)
def test_mmdit_is_that_of_diffusers_from_either_layout(
    config: MMDiTConfig, randomised: Any, stored: Any, relative: Any
) -> None:
    torch.manual_seed(0)
    oracle = SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=40,
        caption_projection_dim=48,
        pooled_projection_dim=24,
        out_channels=4,
        pos_embed_max_size=12,
        dual_attention_layers=tuple(range(config.dual)),
        qk_norm="rms_norm" if config.qk_norm else None,
    )
    randomised(oracle, 1)
    x, time, context, pooled = inputs(2, 4)
    with torch.no_grad():
        expected = oracle(x, context, pooled, time, return_dict=False)[0]
    weights = stored(oracle.state_dict())
    table = layouts.mmdit_diffusers(config, ("",))
    network = load_part(MMDiT, config, weights, table, torch.float32)
    with torch.no_grad():
        assert relative(network(x, time, context, pooled), expected) <= 1e-5
    original = layouts.mmdit(config)
    again = load_part(MMDiT, config, stored(unpicked(network, original)), original, torch.float32)
    with torch.no_grad():
        assert relative(again(x, time, context, pooled), expected) <= 1e-5


@pytest.mark.parametrize("guided", [True, False], ids=["dev", "schnell"])
def test_flux_is_that_of_diffusers_from_either_layout(
    guided: bool, randomised: Any, stored: Any, relative: Any
) -> None:
    config = replace(FLUX, guidance=guided)
    torch.manual_seed(0)
    oracle = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=3,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=40,
        pooled_projection_dim=24,
        guidance_embeds=guided,
        axes_dims_rope=(4, 6, 6),
    )
    randomised(oracle, 1)
    x, time, context, pooled = inputs(2, 4)
    strength = torch.tensor([3.5, 1.0]) if guided else None
    height, width = 6, 4
    packed = x.view(2, 4, height, 2, width, 2).permute(0, 2, 4, 1, 3, 5).reshape(2, 24, 16)
    places = torch.zeros(height, width, 3)
    places[..., 1] = torch.arange(height)[:, None]
    places[..., 2] = torch.arange(width)[None]
    with torch.no_grad():
        tokens = oracle(
            packed,
            context,
            pooled,
            time / 1000,
            places.view(-1, 3),
            torch.zeros(7, 3),
            strength,
            return_dict=False,
        )[0]
    expected = tokens.view(2, height, width, 4, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(x.shape)
    weights = stored(oracle.state_dict())
    network = load_part(Flux, config, weights, layouts.flux_diffusers(config, ("",)), torch.float32)
    with torch.no_grad():
        assert relative(network(x, time, context, pooled, strength), expected) <= 1e-5
    original = layouts.flux(config)
    again = load_part(Flux, config, stored(unpicked(network, original)), original, torch.float32)
    with torch.no_grad():
        assert relative(again(x, time, context, pooled, strength), expected) <= 1e-5


@pytest.mark.parametrize("length", [5, 40, 200])
def test_t5_is_that_of_transformers(
    length: int, randomised: Any, stored: Any, relative: Any
) -> None:
    config = T5Config(vocab=90, layers=3, width=32, heads=4, head_width=6, hidden=48)
    torch.manual_seed(0)
    oracle = T5EncoderModel(
        TheirT5Config(
            vocab_size=90,
            d_model=32,
            d_kv=6,
            d_ff=48,
            num_layers=3,
            num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )
    randomised(oracle, 1)
    state = {key: tensor.clone() for key, tensor in oracle.state_dict().items()}
    table = layouts.t5(config)
    network = load_part(T5Encoder, config, stored(state), table, torch.float32)
    ids = torch.randint(90, (2, length), generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        assert relative(network(ids), oracle(ids).last_hidden_state) <= 1e-5


def open_clip_block(x: Tensor, state: State, block: str, heads: int) -> Tensor:
    """A block of open_clip's text transformer, by torch's own attention from its own weights."""

    def linear(x: Tensor, name: str) -> Tensor:
        return nn.functional.linear(x, state[f"{block}{name}.weight"], state[f"{block}{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{block}{name}.weight"], state[f"{block}{name}.bias"]
        return nn.functional.layer_norm(x, x.shape[-1:], weight, bias)

    attention = nn.MultiheadAttention(x.shape[-1], heads, batch_first=True)
    attention.load_state_dict(
        {
            name: state[f"{block}attn.{name}"]
            for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
        }
    )
    causal = torch.full((x.shape[1], x.shape[1]), -torch.inf).triu(1)
    y = norm(x, "ln_1")
    x = x + attention(y, y, y, need_weights=False, attn_mask=causal)[0]
    hidden = nn.functional.gelu(linear(norm(x, "ln_2"), "mlp.c_fc"))
    return x + linear(hidden, "mlp.c_proj")


def test_open_clip_from_its_own_keys_is_that_of_torchs_attention(
    stored: Any, relative: Any
) -> None:
    config = ClipConfig(
        vocab=120, length=20, layers=3, width=48, heads=4, hidden=96, activation="gelu", take=-2,
        final_norm=False, projection=40,
    )  # fmt: skip
    draw = torch.Generator().manual_seed(0)
    shapes = {
        "token_embedding.weight": (120, 48),
        "positional_embedding": (20, 48),
        "ln_final.weight": (48,),
        "ln_final.bias": (48,),
        "text_projection": (48, 40),
    }
    for i in range(3):
        shapes |= {
            f"transformer.resblocks.{i}.{name}": shape
            for name, shape in {
                "ln_1.weight": (48,),
                "ln_1.bias": (48,),
                "attn.in_proj_weight": (144, 48),
                "attn.in_proj_bias": (144,),
                "attn.out_proj.weight": (48, 48),
                "attn.out_proj.bias": (48,),
                "ln_2.weight": (48,),
                "ln_2.bias": (48,),
                "mlp.c_fc.weight": (96, 48),
                "mlp.c_fc.bias": (96,),
                "mlp.c_proj.weight": (48, 96),
                "mlp.c_proj.bias": (48,),
            }.items()
        }
    state = {key: 0.2 * torch.randn(shape, generator=draw) for key, shape in shapes.items()}
    network = load_part(
        ClipText, config, stored(state), layouts.open_clip(config, ""), torch.float32
    )
    ids = torch.tensor([[118, 5, 17, 119, *[0] * 16], [118, *range(18), 119]])
    with torch.no_grad():
        context, pooled = network(ids)
        x = state["token_embedding.weight"][ids] + state["positional_embedding"]
        states = [x]
        for i in range(3):
            states.append(open_clip_block(states[-1], state, f"transformer.resblocks.{i}.", 4))
        last = nn.functional.layer_norm(
            states[-1], (48,), state["ln_final.weight"], state["ln_final.bias"]
        )
        ends = last[[0, 1], [3, 19]] @ state["text_projection"]
    assert relative(context, states[-2]) <= 1e-5
    assert relative(pooled, ends) <= 1e-5
