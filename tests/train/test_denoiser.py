"""The denoiser learns from words and noise, and is judged with fixed noise on cells held back."""

import sys

import numpy as np
import pytest
import torch

from sfumato.diffusion.process import Flow
from sfumato.nn.vae import Vae
from sfumato.train.autoencoder import to_unit
from sfumato.train.captions import Facts
from sfumato.train.denoiser import Bank, draw_bank, encode, said_whole
from sfumato.train.loop import TrainingError
from sfumato.train.scenes import Example, SceneConfig, Scenes
from sfumato.train.start import start
from tests.train import tiny


def vae() -> Vae:
    model = Vae(tiny.VAE)
    start(model, 0)
    return model.eval().requires_grad_(False)


def test_a_step_is_a_function_of_its_number() -> None:
    task = tiny.denoiser()
    first, other = (task.losses(step)["loss"] for step in (3, 4))
    assert torch.equal(task.losses(3)["loss"], first)
    assert not torch.equal(first, other)


def test_at_first_nothing_is_predicted_and_the_loss_is_that_of_the_target() -> None:
    task = tiny.denoiser()
    x0 = tiny.banks()["held"].latents
    sigma, noise = task._noise(np.random.default_rng([0, 1]), tuple(x0.shape))
    told = task._read(task.adapter, task.reader.pieces(["a dog", ""]))
    want = Flow().target(x0.float(), torch.from_numpy(noise), 0.5).square().mean()
    bias = task.unet.conv_out.bias
    assert bias is not None
    loss = task._error(task.unet, told, x0, sigma, noise)
    assert loss.item() == pytest.approx(want.item(), rel=0.2)
    bias.data.zero_()
    loss = task._error(task.unet, told, x0, sigma, noise)
    assert loss.item() == pytest.approx(want.item(), rel=1e-3)


def test_noise_levels_lie_round_the_configured_one_and_noise_is_that_of_a_gaussian() -> None:
    task = tiny.denoiser()
    sigma, noise = task._noise(np.random.default_rng(0), (4000, 4, 2, 2))
    assert 0 < sigma.min() < sigma.max() < 1
    logit = np.log(sigma / (1 - sigma))
    assert logit.mean() == pytest.approx(task.config.centre, abs=0.06)
    assert logit.std() == pytest.approx(task.config.spread, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(1, rel=0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no processes")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_other_processes_change_no_step() -> None:
    here, ahead = tiny.denoiser(), tiny.denoiser(workers=2)
    for step in (3, 4, 5, 1):
        assert torch.equal(here.losses(step)["loss"], ahead.losses(step)["loss"])
    ahead.close()


def test_the_loss_falls_and_every_part_learns() -> None:
    task = tiny.denoiser()
    parts = [*task.unet.parameters(), *task.adapter.parameters()]
    before = [p.detach().clone() for p in parts]
    adam = torch.optim.Adam(parts, lr=0.01)
    losses: list[float] = []
    for step in range(1, 31):
        loss = task.losses(step)["loss"]
        loss.backward()
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-6:]) < 0.85 * sum(losses[:6])
    still = sum(torch.equal(a, b) for a, b in zip(before, parts, strict=True))
    assert still == 0


def test_the_reader_stays_as_it_was_published() -> None:
    task = tiny.denoiser()
    task.losses(1)["loss"].backward()
    assert all(p.grad is None for p in task.reader.bert.parameters())


def test_judging_is_the_same_each_time_and_sees_no_training_picture() -> None:
    task = tiny.denoiser()
    figures = task.validate(task.modules)
    assert set(figures) == {"held_loss", "seen_loss"}
    task.losses(1)
    assert task.validate(task.modules) == figures
    task.banks = {**task.banks, "train": Bank(torch.zeros(1, 4, 4, 4).half(), tiny.FACTS[:1])}
    assert task.validate(task.modules) == figures
    task.banks = {**task.banks, "held": Bank(torch.ones(2, 4, 4, 4).half(), tiny.FACTS[:2])}
    changed = task.validate(task.modules)
    assert changed["held_loss"] != figures["held_loss"]
    assert changed["seen_loss"] == figures["seen_loss"]


def test_every_caption_is_read_whole() -> None:
    task = tiny.denoiser(length=8)
    rng = np.random.default_rng(0)
    captions = {
        said_whole(task.words, facts, rng, 0.1, task.reader)
        for _ in range(60)
        for facts in tiny.FACTS
    }
    assert len(captions) > 10
    assert all(task.reader.fits(caption) for caption in captions)


def test_a_subject_that_never_fits_is_named() -> None:
    task = tiny.denoiser(length=2)
    with pytest.raises(TrainingError, match=r"no room for 'a dog, flat'.*denoiser\.length"):
        said_whole(task.words, Facts("1f436", "flat"), np.random.default_rng(0), 0.0, task.reader)


def test_a_bank_is_the_pictures_latents_in_their_order() -> None:
    model = vae()
    examples = [
        Example(picture, Facts("1f436", "flat", count=1 + i % 2))
        for i, picture in enumerate(tiny.pictures(35))
    ]
    bank = encode(model, examples, tiny.CPU)
    assert bank.latents.shape == (35, 4, 4, 4)
    assert bank.latents.dtype == torch.float16
    assert bank.facts == tuple(example.facts for example in examples)
    picture = to_unit(torch.from_numpy(examples[33].picture[None]))
    want = model.encode(picture)[0]
    assert (bank.latents[33].float() - want).abs().max() < 0.02 * want.abs().max() + 0.01


def test_a_drawn_bank_holds_the_first_scenes(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    tiny.pack(path)
    scenes = Scenes(path, SceneConfig(size=32))
    bank = draw_bank(vae(), scenes, 5, tiny.CPU)
    assert len(bank.latents) == 5
    assert bank.facts == tuple(scenes.facts(i) for i in range(5))
    held = {(e.facts.subject, e.facts.style) for e in scenes.held_out()}
    assert ("1f436", "cartoon") in held
    drawn = {(scenes.facts(i).subject, scenes.facts(i).style) for i in range(2000)}
    assert not held & drawn
