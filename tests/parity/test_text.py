"""The text encoder computes what transformers' CLIP computes, in each family's variant."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from sfumato.nn.clip import ClipText
from sfumato.spec import ClipConfig
from sfumato.weights.layouts import diffusers, original
from sfumato.weights.load import load_part

SMALL = ClipConfig(vocab=120, length=20, layers=3, width=48, heads=4, hidden=96)
VARIANTS = {
    "sd1": SMALL,
    "sd2, all layers": replace(SMALL, activation="gelu", take=-2),
    "sdxl first": replace(SMALL, take=-2, final_norm=False),
    "sdxl second": replace(SMALL, activation="gelu", take=-2, final_norm=False, projection=40),
}
IDS = torch.tensor(
    [
        [118, 5, 17, 63, 119, *[119] * 15],  # padded with the end mark, as SD 1
        [118, 9, 119, *[0] * 17],  # padded with another, as SD 2
        [118, *range(18), 119],
    ]
)


@pytest.mark.parametrize("layout", ["text_model.", "", "original"])
@pytest.mark.parametrize("name", VARIANTS)
def test_context_and_pooled_are_those_of_transformers(
    name: str, layout: str, randomised: Any, stored: Any, in_layout: Any, relative: Any
) -> None:
    config = VARIANTS[name]
    torch.manual_seed(0)
    oracle = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=config.vocab,
            hidden_size=config.width,
            intermediate_size=config.hidden,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            max_position_embeddings=config.length,
            hidden_act=config.activation,
            projection_dim=config.projection or 40,
            bos_token_id=config.vocab - 2,
            eos_token_id=config.vocab - 1,
        )
    )
    randomised(oracle, 1)
    state = {
        key if layout else key.removeprefix("text_model."): tensor
        for key, tensor in oracle.state_dict().items()
    }
    network = load_part(ClipText, config, stored(state), diffusers.text(config, ""), torch.float32)
    if layout == "original" and config.projection is None:
        table = original.text(config)
        network = load_part(
            ClipText, config, stored(in_layout(network, table)), table, torch.float32
        )
    with torch.no_grad():
        theirs = oracle(IDS, output_hidden_states=True)
        bare = oracle.text_model(IDS)
        expected = theirs.hidden_states[config.take]
        if config.final_norm:
            expected = oracle.text_model.final_layer_norm(expected)
        context, pooled = network(IDS)
    assert relative(context, expected) <= 1e-5
    assert relative(pooled, theirs.text_embeds if config.projection else bare.pooler_output) <= 1e-5
    if name == "sd1":
        assert relative(context, bare.last_hidden_state) <= 1e-5
