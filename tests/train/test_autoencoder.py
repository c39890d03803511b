"""The autoencoder learns, is judged on what it never sees, and may be whitened without a trace."""

import copy

import pytest
import torch

from sfumato.nn.vae import Vae
from sfumato.train.autoencoder import (
    AutoencoderConfig,
    AutoencoderTask,
    reconstruction_loss,
    to_unit,
    whiten,
)
from sfumato.train.loop import TrainingError
from sfumato.train.machine import Machine
from sfumato.train.start import start
from tests.train import tiny


def batch(count: int = 6) -> torch.Tensor:
    return to_unit(torch.from_numpy(tiny.pictures(count)))


def vae(seed: int = 0) -> Vae:
    model = Vae(tiny.VAE)
    start(model, seed)
    return model.eval()


def test_bytes_become_minus_one_to_one() -> None:
    picture = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 1, 1, 3)
    assert to_unit(picture).flatten().tolist() == pytest.approx([-1, 1, -0.6])


def test_the_first_weights_are_the_seed_s_alone() -> None:
    a, b, c = (vae(seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["decoder.conv_in.weight"], c["decoder.conv_in.weight"])


def test_the_loss_is_nothing_for_equal_pictures_and_sees_a_shift_at_every_scale() -> None:
    picture = batch()
    assert reconstruction_loss(picture, picture) == 0
    assert reconstruction_loss(picture + 0.1, picture) == pytest.approx(0.3, rel=1e-4)


def test_the_loss_sees_edges_where_the_colours_are_right_on_average() -> None:
    flat = torch.zeros(1, 3, 16, 16)
    stripes = flat.clone()
    stripes[..., ::2], stripes[..., 1::2] = 0.1, -0.1
    # 0.1 off everywhere and 0.2 across every edge; half and quarter scale see grey.
    assert reconstruction_loss(stripes, flat) == pytest.approx(0.3, rel=1e-4)


def test_a_step_is_a_function_of_its_number() -> None:
    task = tiny.autoencoder()
    first, other = (task.losses(step)["loss"] for step in (3, 4))
    assert torch.equal(task.losses(3)["loss"], first)
    assert not torch.equal(first, other)


def test_the_loss_falls() -> None:
    task = tiny.autoencoder()
    adam = torch.optim.Adam(task.vae.parameters(), lr=0.01)
    losses: list[float] = []
    for step in range(1, 25):
        loss = task.losses(step)["loss"]
        loss.backward()
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


def test_noise_on_latents_makes_the_loss_greater_and_changes_nothing_else() -> None:
    task = tiny.autoencoder()
    adam = torch.optim.Adam(task.vae.parameters(), lr=0.01)
    for step in range(1, 51):
        task.losses(step)["loss"].backward()
        adam.step()
        adam.zero_grad()

    def loss(noise: float) -> float:
        other = tiny.autoencoder(noise=noise)
        other.vae.load_state_dict(task.vae.state_dict())
        assert other.validate(other.modules) == task.validate(task.modules)
        return sum(other.losses(step)["loss"].item() for step in range(1, 5))

    assert loss(0) < loss(1) < loss(4)
    assert loss(1e-4) == pytest.approx(loss(0), rel=1e-4)  # of the same crops


def test_a_crop_wider_than_the_pictures_is_refused_by_name() -> None:
    pictures = tiny.pictures(2)
    with pytest.raises(TrainingError, match=r"autoencoder\.crop is 64, but .* at most 32"):
        AutoencoderTask(tiny.VAE, AutoencoderConfig(crop=64), pictures, pictures, Machine(tiny.CPU))


def test_judging_is_the_same_each_time_and_sees_no_training_picture() -> None:
    task = tiny.autoencoder()
    figures = task.validate(task.modules)
    assert task.validate(task.modules) == figures
    task.pictures.zero_()
    assert task.validate(task.modules) == figures
    task.held.zero_()
    assert task.validate(task.modules) != figures


def test_judging_measures_the_error_in_decibels() -> None:
    task = tiny.autoencoder()
    picture = to_unit(task.held)
    got = task.vae.decoder(task.vae.encoder(picture)[0]).clamp(-1, 1)
    squares = ((got - picture) / 2).square().flatten(1).mean(1)
    want = (10 * torch.log10(1 / squares)).mean().item()
    assert task.validate(task.modules)["held_psnr"] == pytest.approx(want, abs=1e-3)


def test_whitened_latents_are_unit_and_the_pictures_stay() -> None:
    model, pictures = vae(), batch(40)
    before = model.decode(model.encode(pictures))
    whiten(model, pictures)
    latent = model.encode(pictures)
    torch.testing.assert_close(latent.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(latent.std((0, 2, 3)), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(model.decode(latent), before, atol=2e-4, rtol=0)


def test_whitening_scales_the_noise_with_the_latent() -> None:
    model, pictures = vae(), batch(8)
    plain = copy.deepcopy(model)
    whiten(model, pictures)
    mean, log_variance = plain.encoder(pictures)
    white, white_variance = model.encoder(pictures)
    share = (0.5 * log_variance).exp() / mean.std((0, 2, 3))[:, None, None]
    white_share = (0.5 * white_variance).exp() / white.std((0, 2, 3))[:, None, None]
    torch.testing.assert_close(share, white_share)
