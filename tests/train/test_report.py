"""A training's figures are those of its log."""

import json
from pathlib import Path

import pytest

from sfumato.errors import WeightsError
from sfumato.train.report import card, figures


def write(folder: Path, *lines: dict[str, float], run: dict[str, object] | None = None) -> None:
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if run is not None:
        (folder / "run.json").write_text(json.dumps(run))


def test_seconds_are_summed_over_steps_and_the_newest_figures_stand(tmp_path: Path) -> None:
    write(
        tmp_path / "a",
        {"step": 20, "loss": 2.0, "seconds_a_step": 0.5, "held_loss": 1.5},
        {"step": 40, "loss": 1.0, "seconds_a_step": 0.25},
        {"step": 45, "loss": 0.5, "seconds_a_step": 1.0},
    )
    got = figures(tmp_path / "a")
    assert got.steps == 45
    assert got.seconds == pytest.approx(20 * 0.5 + 20 * 0.25 + 5 * 1.0)
    assert got.last["loss"] == 0.5
    assert got.last["held_loss"] == 1.5
    assert got.run == {}


def test_the_card_names_every_part(tmp_path: Path) -> None:
    run: dict[str, object] = {"machine": "x, 2 cores", "threads": 2, "recipe": {"pictures": 1}}
    line = {"step": 10, "loss": 0.25, "seconds_a_step": 3.0}
    write(tmp_path / "autoencoder", {**line, "held_psnr": 30.02413}, run=run)
    write(tmp_path / "adapter", {**line, "plain_right": 0.985, "said_right": 0.96})
    write(tmp_path / "denoiser", {**line, "held_loss": 0.4, "seen_loss": 0.3})
    assert card(tmp_path) == {
        "autoencoder_steps": "10",
        "autoencoder_seconds": "30",
        "autoencoder_held_psnr_db": "30.02",
        "autoencoder_machine": "x, 2 cores",
        "autoencoder_threads": "2",
        "adapter_steps": "10",
        "adapter_seconds": "30",
        "adapter_plain_right": "0.985",
        "adapter_said_right": "0.96",
        "denoiser_steps": "10",
        "denoiser_seconds": "30",
        "denoiser_train_loss": "0.25",
        "denoiser_held_loss": "0.4",
        "denoiser_seen_loss": "0.3",
    }


def test_a_part_that_was_not_trained_is_left_out(tmp_path: Path) -> None:
    assert card(tmp_path) == {}
    with pytest.raises(WeightsError, match="nothing was trained there"):
        figures(tmp_path)
