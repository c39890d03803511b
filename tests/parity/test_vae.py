"""The autoencoder computes what diffusers' computes, both ways, from either published layout."""

from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

from sfumato.nn.vae import Vae
from sfumato.spec import VaeConfig
from sfumato.weights.layouts import diffusers, original
from sfumato.weights.load import load_part

WIDTHS = (16, 32, 48, 48)
VARIANTS = {
    "4 channels": VaeConfig(channels=WIDTHS, groups=8),
    "16 channels": VaeConfig(
        latent_channels=16, channels=WIDTHS, scale=1.5305, shift=0.0609, quant=False, groups=8
    ),
}


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize("name", VARIANTS)
def test_latents_and_pictures_are_those_of_diffusers(
    name: str, layout: str, randomised: Any, stored: Any, in_layout: Any, relative: Any
) -> None:
    config = VARIANTS[name]
    torch.manual_seed(0)
    oracle = AutoencoderKL(
        latent_channels=config.latent_channels,
        block_out_channels=WIDTHS,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
        use_quant_conv=config.quant,
        use_post_quant_conv=config.quant,
    )
    randomised(oracle, 1)
    table = diffusers.vae(config, "")
    network = load_part(Vae, config, stored(oracle.state_dict()), table, torch.float32)
    if layout == "original":
        state = in_layout(network, original.vae(config))
        converted = convert_ldm_vae_checkpoint(state, oracle.config)
        assert all(torch.equal(converted[k], v) for k, v in oracle.state_dict().items())
        network = load_part(Vae, config, stored(state), original.vae(config), torch.float32)

    generator = torch.Generator().manual_seed(2)
    picture = torch.randn(2, 3, 48, 32, generator=generator)
    latent = torch.randn(2, config.latent_channels, 6, 4, generator=generator)
    with torch.no_grad():
        moments = oracle.encode(picture).latent_dist
        mean, log_variance = network.encoder(picture)
        assert relative(mean, moments.mean) <= 1e-5
        assert relative(log_variance, moments.logvar) <= 1e-5
        encoded = (moments.mean - config.shift) * config.scale
        assert relative(network.encode(picture), encoded) <= 1e-5
        decoded = oracle.decode(latent / config.scale + config.shift).sample
        assert relative(network.decode(latent), decoded) <= 1e-5
