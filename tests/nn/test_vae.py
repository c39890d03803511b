"""The autoencoder by configuration: its factor, its scale, its folded pixels."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sfumato.nn.vae import Vae
from sfumato.spec import VaeConfig

SMALL = VaeConfig(latent_channels=3, channels=(8, 16), blocks=1, groups=4, scale=1.0)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vae(config: VaeConfig) -> Vae:
    torch.manual_seed(0)
    return Vae(config).eval().requires_grad_(False)


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("levels", [(8,), (8, 16), (8, 8, 16)])
def test_a_latent_element_stands_for_a_square_of_pixels(
    patch: int, levels: tuple[int, ...]
) -> None:
    config = replace(SMALL, patch=patch, channels=levels)
    assert config.factor == patch * 2 ** (len(levels) - 1)
    model, f = vae(config), config.factor
    latent = model.encode(draw(2, 3, 3 * f, 5 * f))
    assert latent.shape == (2, 3, 3, 5)
    assert model.decode(latent).shape == (2, 3, 3 * f, 5 * f)


def test_scale_and_shift_are_undone_by_decoding() -> None:
    plain, moved = vae(SMALL), vae(replace(SMALL, scale=0.5, shift=2.0))
    picture = draw(1, 3, 8, 8)
    latent = plain.encode(picture)
    torch.testing.assert_close(moved.encode(picture), (latent - 2.0) * 0.5)
    torch.testing.assert_close(
        moved.decode((latent - 2.0) * 0.5), plain.decode(latent), atol=1e-5, rtol=1e-4
    )


def test_encoding_is_the_mean_and_draws_nothing() -> None:
    model, picture = vae(SMALL), draw(1, 3, 8, 8)
    mean, log_variance = model.encoder(picture)
    assert mean.shape == log_variance.shape == (1, 3, 4, 4)
    assert torch.equal(model.encode(picture), mean)
    assert torch.equal(model.encode(picture), mean)


def test_patches_are_folded_at_both_ends_alike() -> None:
    model, picture = vae(replace(SMALL, patch=4)), draw(1, 3, 16, 16)
    seen: list[Tensor] = []

    def first(_: object, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0])

    def last(_: object, __: object, output: Tensor) -> None:
        seen.append(output)

    model.encoder.conv_in.register_forward_pre_hook(first)
    model.decoder.conv_out.register_forward_hook(last)
    got = model.decode(model.encode(picture))
    folded, unfolded = seen
    assert folded.shape == unfolded.shape == (1, 48, 4, 4)
    # The channel of pixel (y, x) of colour c is 16 c + 4 y + x, on the way in as on the way out.
    for c, y, x in ((0, 0, 0), (1, 2, 3), (2, 3, 1)):
        channel = 16 * c + 4 * y + x
        assert torch.equal(folded[0, channel], picture[0, c, y::4, x::4])
        assert torch.equal(unfolded[0, channel], got[0, c, y::4, x::4])


def test_without_quant_the_moments_are_the_last_convolution_s() -> None:
    config = replace(SMALL, quant=False)
    names = vae(config).state_dict().keys()
    assert not any("quant" in name for name in names)
    assert {"encoder.quant.weight", "decoder.quant.weight"} <= vae(SMALL).state_dict().keys()


def test_attention_in_the_middle_sees_the_whole_picture() -> None:
    model, picture = vae(replace(SMALL, channels=(8, 8, 8, 8))), draw(1, 3, 128, 128)
    changed = picture.clone()
    changed[..., :8, :8] += 5
    far = (model.encode(changed) - model.encode(picture))[..., -1, -1].abs().max()
    assert far > 0


def test_the_full_network_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = Vae(VaeConfig())
    assert sum(p.numel() for p in model.parameters()) == 83_653_863


def test_the_encoder_s_padding_is_at_the_right_and_the_bottom() -> None:
    model = vae(SMALL)
    x = draw(1, 8, 6, 6)
    sample = model.encoder.down[0].sample
    want = F.conv2d(F.pad(x, (0, 1, 0, 1)), sample.conv.weight, sample.conv.bias, 2)
    assert torch.equal(sample(x), want)
