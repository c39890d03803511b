"""The decoder's second training: what it sees is a function of its step, and only it changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sfumato.families.base import process_of
from sfumato.nn.bert import Adapter
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.train.autoencoder import to_unit
from sfumato.train.decoder import DecoderConfig, DecoderTask, Guesser, Painted
from sfumato.train.denoiser import latents_of
from sfumato.train.loop import TrainingError
from sfumato.train.machine import Machine
from sfumato.train.start import start
from tests.train import tiny

CONFIG = DecoderConfig(batch=4, crop=16)
CAPTIONS = ("a dog, flat", "a car, 3d")


def vae() -> Vae:
    made = Vae(tiny.VAE).requires_grad_(False)
    start(made, 0)
    return made


def guesser() -> Guesser:
    unet, adapter = UNet(tiny.UNET), Adapter(tiny.TEXT)
    for seed, part in enumerate((unet, adapter)):
        start(part, seed)
        part.eval().requires_grad_(False)
    return Guesser(unet, adapter, tiny.reader(), process_of(tiny.SPEC.process))


def painted(count: int = 8) -> Painted:
    """Pictures and their latents; the guesses are three steps away from these everywhere."""
    pictures = tiny.pictures(count)
    latents = latents_of(vae(), pictures, tiny.CPU)
    return Painted(pictures, latents, latents + 3)


def task(config: DecoderConfig = CONFIG) -> DecoderTask:
    return DecoderTask(vae(), config, painted(), painted(2), Machine(tiny.CPU))


def crops(config: DecoderConfig, step: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """The latents and pictures of a step."""
    return task(config)._crops(np.random.default_rng([config.seed, step]))  # pyright: ignore[reportPrivateUsage]


def test_a_step_is_the_same_whenever_it_is_made_and_another_is_another() -> None:
    first, again = task().losses(3)["loss"], task().losses(3)["loss"]
    assert torch.equal(first, again)
    assert not torch.equal(first, task().losses(4)["loss"])


def test_only_the_decoder_learns() -> None:
    trained = task()
    trained.losses(1)["loss"].backward()
    assert set(trained.modules) == {"decoder"}
    assert all(p.grad is not None for p in trained.decoder.parameters())


def test_latents_and_pictures_are_of_the_same_place() -> None:
    seen = painted()
    latents, pictures = crops(replace(CONFIG, guessed=0.0, noisy=0.0))
    assert latents.shape == (4, 4, 2, 2)
    assert pictures.shape == (4, 16, 16, 3)
    for crop, picture in zip(latents, pictures, strict=True):
        places = [
            (row, top, left)
            for row in range(8)
            for top in range(3)
            for left in range(3)
            if torch.equal(crop, seen.latents[row, :, top : top + 2, left : left + 2].float())
            and np.array_equal(
                picture.numpy(),
                seen.pictures[row, 8 * top : 8 * top + 16, 8 * left : 8 * left + 16],
            )
        ]
        assert places


@pytest.mark.parametrize(("guessed", "noisy"), [(1.0, 0.0), (0.0, 1.0)])
def test_guesses_and_noise_take_the_place_of_latents(guessed: float, noisy: float) -> None:
    plain, _ = crops(replace(CONFIG, guessed=0.0, noisy=0.0))
    other, _ = crops(replace(CONFIG, guessed=guessed, noisy=noisy))
    if guessed:
        torch.testing.assert_close(other, plain + 3, atol=1e-2, rtol=0)
    else:
        off = (other - plain)[0]  # later crops lie elsewhere: noise is drawn between them
        assert 0 < off.abs().max() < 5 * CONFIG.noise


def test_a_guess_is_the_guided_estimate_of_the_picture_from_its_noisy_latent() -> None:
    made = guesser()
    config = DecoderConfig(seed=5, low=0.3, high=0.3, guidance=1.0)
    latents = painted(2).latents
    found = made.guesses(latents, CAPTIONS, config)
    assert found.dtype == torch.float16
    rng = np.random.default_rng([5, 0])
    rng.random(2, dtype=np.float32)
    noise = torch.from_numpy(rng.standard_normal(latents.shape, dtype=np.float32))
    sigma = torch.full((2,), 0.3)
    x = made.process.mix(latents.float(), noise, sigma)
    read = made.reader.read(CAPTIONS)
    context, pooled = made.adapter(read.states, read.mask)
    output = made.unet(
        made.process.model_input(x, sigma),
        made.process.time(sigma),
        context,
        mask=read.mask[:, None, None],
        added=pooled,
    )
    want = made.process.x0(output, x, sigma)
    torch.testing.assert_close(found.float(), want, atol=2e-3, rtol=2e-3)
    strong = made.guesses(latents, CAPTIONS, replace(config, guidance=3.0))
    assert not torch.equal(found, strong)


def test_a_guess_is_decided_by_the_seed() -> None:
    latents = painted(2).latents
    config = DecoderConfig(seed=5)
    first = guesser().guesses(latents, CAPTIONS, config)
    assert torch.equal(first, guesser().guesses(latents, CAPTIONS, config))
    assert not torch.equal(first, guesser().guesses(latents, CAPTIONS, replace(config, seed=6)))


def test_each_guess_is_at_its_own_caption_beyond_those_made_at_once() -> None:
    few = painted(2).latents
    many, captions = few[[0] * 65 + [1]], [CAPTIONS[0]] * 65 + [CAPTIONS[1]]
    found = guesser().guesses(many, captions, DecoderConfig(seed=5))
    other = guesser().guesses(many, [CAPTIONS[0]] * 66, DecoderConfig(seed=5))
    assert torch.equal(found[:65], other[:65])
    assert not torch.equal(found[65], other[65])


def test_guesses_lie_nearer_the_latents_the_less_noise_they_are_made_from() -> None:
    latents = painted(4).latents
    captions = CAPTIONS * 2

    def off(level: float) -> float:
        config = DecoderConfig(low=level, high=level)
        return float((guesser().guesses(latents, captions, config) - latents).float().std())

    assert off(0.01) < off(0.3) < off(0.9)


def test_guessing_ends_when_it_is_told_to() -> None:
    with pytest.raises(KeyboardInterrupt):
        guesser().guesses(painted(2).latents, CAPTIONS, DecoderConfig(), lambda: True)


def test_the_autoencoder_that_it_begins_from_stays_as_it_is() -> None:
    whole = vae()
    before = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    trained = DecoderTask(whole, CONFIG, painted(), painted(2), Machine(tiny.CPU))
    adam = torch.optim.Adam(trained.decoder.parameters(), lr=0.1)
    trained.losses(1)["loss"].backward()
    adam.step()
    assert all(torch.equal(tensor, before[n]) for n, tensor in whole.state_dict().items())
    assert not torch.equal(trained.decoder.conv_in.weight, before["decoder.conv_in.weight"])


@pytest.mark.parametrize("crop", [64, 12])
def test_a_crop_that_cannot_be_cut_is_refused_by_name(crop: int) -> None:
    words = f"decoder.crop is {crop}, but must be a multiple of 8 and at most 32"
    with pytest.raises(TrainingError, match=words):
        task(replace(CONFIG, crop=crop))


def test_it_is_judged_on_latents_and_on_guesses() -> None:
    trained = task()
    figures = trained.validate(trained.modules)
    held = painted(2)
    with torch.no_grad():
        got = vae().decode(held.latents.float()).clamp(-1, 1)
    error = ((got - to_unit(torch.from_numpy(held.pictures))) / 2).square().mean((1, 2, 3))
    assert figures["held_psnr"] == pytest.approx((-10 * error.log10()).mean().item(), abs=1e-3)
    assert figures["guess_psnr"] != figures["held_psnr"]
