"""`sfumato train`: refusals in a line, Ctrl-C that keeps the state, files where they belong."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from sfumato.catalog import MINI
from sfumato.cli.training import stopping
from sfumato.shipped import shipped
from sfumato.train import bundled, export, polish, store
from sfumato.train import names as train_names
from sfumato.train.beginning import parts_of
from sfumato.train.export import Exported
from sfumato.train.loop import Losses, Stop
from sfumato.train.own import Captioned
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import Scenes
from sfumato.weights.load import Parts
from tests.cli.conftest import Sfumato
from tests.train import tiny

Tell = Callable[[dict[str, float]], None]


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tiny.pack(tmp_path / "data" / "emoji.zip")


def test_help_names_every_step(sfumato: Sfumato) -> None:
    answer = sfumato("train", "--help")
    assert answer.status == 0
    for name in (
        "data",
        "autoencoder",
        "denoiser",
        "export",
        "report",
        "sheet",
        "evaluate",
        "new",
        "compare",
    ):
        assert name in answer.out


def test_missing_pictures_are_told_with_what_to_do(sfumato: Sfumato) -> None:
    said = sfumato("train", "denoiser", "--data", "none.zip").refused()
    assert "no training pictures at none.zip" in said
    assert "build" in said


def test_a_measurement_without_pictures_or_room_for_its_report_is_refused(
    sfumato: Sfumato, tmp_path: Path
) -> None:
    said = sfumato("train", "evaluate", "--data", "none.zip").refused()
    assert "no training pictures at none.zip" in said
    (tmp_path / "taken").write_text("")
    said = sfumato("train", "evaluate", "--out", "taken").refused()
    assert "taken" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data", "none"), "There is nothing at none"),
        (
            ("--data", "empty", "--shape", "stretch"),
            "--shape is 'stretch', but must be crop or pad",
        ),
        (("--data", "empty"), "holds 0 pictures with captions"),
        ((), "--data"),
    ],
)
def test_data_of_one_s_own_that_cannot_be_used_are_refused_before_anything_is_made(
    words: tuple[str, ...], said: str, sfumato: Sfumato, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert said in sfumato("train", "new", *words, "--device", "cpu").refused()
    assert not (tmp_path / "runs").exists()


def test_a_model_of_one_s_own_ends_in_a_file_and_its_options_are_heard(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sfumato.train import new

    folder = tmp_path / "mine"
    folder.mkdir()
    for i, picture in enumerate(tiny.pictures(5, side=128)):
        Image.fromarray(picture).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"a disc {i}")
    told: list[tuple[Recipe, int, Path | None]] = []

    def train(
        recipe: Recipe,
        data: Captioned,
        run: Path,
        device: torch.device,
        tell: Tell,
        *,
        begin: Path | None,
        stop: Stop,
    ) -> None:
        told.append((recipe, len(data.captions), begin))

    monkeypatch.setattr(new, "train_new", train)
    words = ("train", "new", "--data", "mine", "--steps", "7", "--batch", "3", "--device", "cpu")
    said = sfumato(*words).refused()
    assert "runs/own/unet.safetensors" in said  # nothing was trained that could be exported
    sfumato(*words, "--from", "nothing").refused()
    (bundled_first, count, begin), (_, _, nothing) = told
    assert (bundled_first.denoiser_loop.steps, bundled_first.denoiser.batch, count) == (7, 3, 5)
    assert begin is not None
    assert begin.name == "model.safetensors"
    assert nothing is None


def test_recipes_of_one_name_or_without_an_autoencoder_are_not_compared(
    sfumato: Sfumato, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    for place in ("x.toml", "a/x.toml"):
        (tmp_path / place).write_text("compiled = false\n")
    assert "x, x are not alone" in sfumato("train", "compare", "x.toml", "a/x.toml").refused()
    said = sfumato("train", "compare", "x.toml", "--from", "nothing").refused()
    assert "needs a model whose autoencoder" in said


def test_an_unknown_setting_is_refused_by_name(sfumato: Sfumato, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[denoiser]\nbach = 3\n")
    said = sfumato("train", "denoiser", "--config", "my.toml").refused()
    assert "'denoiser.bach'" in said
    assert "batch" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--device", "tpu"), "no device 'tpu'"),
        (("--steps", "0"), "--steps': Input should be greater"),
        (("--batch", "many"), "--batch': Input should be a valid integer"),
        (("--stepz", "3"), "--stepz"),
    ],
)
def test_a_wrong_option_is_refused(words: tuple[str, ...], said: str, sfumato: Sfumato) -> None:
    assert said in sfumato("train", "autoencoder", *words).refused()


def test_a_machine_without_a_compiler_is_told_of_the_other_way(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "--no-compile" in sfumato("train", "denoiser", "--device", "cpu").refused()


def test_the_data_of_a_machine_without_npm(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    said = sfumato("train", "data", "--out", "x.zip", "--cache", "cache").refused()
    assert "npm" in said
    assert not Path("x.zip").exists()


def test_a_denoiser_without_an_autoencoder_is_told(sfumato: Sfumato) -> None:
    said = sfumato("train", "denoiser", "--no-compile", "--folder", "run").refused()
    assert "vae.safetensors" in said


def test_exporting_nothing_is_told(sfumato: Sfumato) -> None:
    said = sfumato("train", "export", "--folder", "run").refused()
    assert "There is no run/" in said


def parts(folder: Path) -> None:
    """Empty files in the place of the trained parts."""
    folder.mkdir(exist_ok=True)
    for name in ("vae", "unet", "adapter"):
        (folder / f"{name}.safetensors").write_bytes(b"")


class Told:
    """Stands for a training: notes what it was given, tells two lines, may leave parts."""

    def __init__(self, *, leaves: bool = False) -> None:
        self.leaves = leaves
        self.calls: list[tuple[Recipe, Path]] = []
        self.begun: list[Parts | None] = []

    def train(
        self,
        recipe: Recipe,
        scenes: Scenes,
        folder: Path,
        device: torch.device,
        tell: Tell,
        *,
        begin: Parts | None = None,
        stop: Callable[[], bool],
    ) -> None:
        self.calls.append((recipe, folder))
        self.begun.append(begin)
        tell({"step": 20, "steps": 40, "loss": 1.25, "seconds_a_step": 0.5, "held_loss": 1.5})
        tell({"step": 40, "steps": 40, "loss": 1.0, "seconds_a_step": 0.5})
        assert not stop()
        if self.leaves:
            parts(folder)


def test_options_stand_in_place_of_the_recipe_s(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Told()
    monkeypatch.setattr(bundled, "train_denoiser", told.train)
    (tmp_path / "my.toml").write_text("[denoiser]\ndrop = 0.5\nbatch = 9\n")
    answer = sfumato(
        "train",
        "denoiser",
        "--steps",
        "40",
        "--batch",
        "3",
        "--config",
        "my.toml",
        "--no-compile",
        "--folder",
        "run",
        "--device",
        "cpu",
        "--threads",
        "1",
    )
    assert answer.status == 0
    ((recipe, folder),) = told.calls
    assert (recipe.denoiser.batch, recipe.denoiser.drop) == (3, 0.5)
    assert recipe.denoiser_loop.steps == 40
    assert not recipe.compiled
    assert folder == Path("run")
    assert "step 20 of 40, loss 1.25, held 1.5, 0.50 s a step, 10 s left" in answer.err
    assert "step 40 of 40, loss 1, 0.50 s a step\n" in answer.err
    assert answer.out.splitlines() == ["run/unet.safetensors", "run/adapter.safetensors"]


def test_the_decoder_is_trained_by_its_own_numbers_or_left_as_it_is(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Told()
    parts(tmp_path / "run")
    monkeypatch.setattr(polish, "train_decoder", told.train)
    words = ("train", "decoder", "--folder", "run", "--device", "cpu", "--steps", "40")
    answer = sfumato(*words, "--batch", "3")
    assert answer.status == 0
    ((recipe, folder),) = told.calls
    assert (recipe.decoder.batch, recipe.decoder_loop.steps) == (3, 40)
    assert folder == Path("run")
    assert "Decoder: 40 steps of 3, after 6,000 pictures are drawn" in answer.err
    assert answer.out.splitlines() == ["run/decoder.safetensors"]
    (tmp_path / "my.toml").write_text("[decoder]\nscenes = 0\n")
    answer = sfumato(*words, "--config", "my.toml")
    assert answer.status == 0
    assert "stays as it is" in answer.err
    assert len(told.calls) == 1


def test_the_names_are_learnt_by_their_own_numbers_or_left_out(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Told()
    parts(tmp_path / "run")
    monkeypatch.setattr(train_names, "train_naming", told.train)
    words = ("train", "naming", "--folder", "run", "--device", "cpu", "--steps", "40")
    answer = sfumato(*words, "--batch", "3")
    assert answer.status == 0
    ((recipe, folder),) = told.calls
    assert (recipe.naming.batch, recipe.naming_loop.steps) == (3, 40)
    assert folder == Path("run")
    assert "Names: 40 steps of 3, of 120,000 captions." in answer.err
    assert answer.out.splitlines() == ["run/naming.safetensors"]
    (tmp_path / "my.toml").write_text("[naming]\ncaptions = 0\n")
    answer = sfumato(*words, "--config", "my.toml")
    assert answer.status == 0
    assert "the model has none" in answer.err
    assert len(told.calls) == 1


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_between_steps_keeps_the_state_and_the_same_words_go_on(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from sfumato.train import autoencoder

    seen: list[int] = []
    losses = autoencoder.AutoencoderTask.losses

    def interrupted(self: autoencoder.AutoencoderTask, step: int) -> Losses:
        seen.append(step)
        if step == 2 and len(seen) == 2:
            interrupt()
        return losses(self, step)

    monkeypatch.setattr(autoencoder.AutoencoderTask, "losses", interrupted)
    monkeypatch.setattr(bundled.train_autoencoder, "__kwdefaults__", {"spec": tiny.SPEC})
    (tmp_path / "my.toml").write_text(
        "compiled = false\npictures = 4\n"
        "[drawings]\nsize = 32\nfocus = true\n"
        "[autoencoder]\ncrop = 16\nbatch = 2\n"
        "[autoencoder_loop]\nlog_steps = 1\nvalidate_steps = 4\n"
    )
    words = (
        "train",
        "autoencoder",
        "--config",
        "my.toml",
        "--steps",
        "4",
        "--threads",
        "1",
        "--device",
        "cpu",
    )
    answer = sfumato(*words)
    assert answer.status == 130
    assert "Stopping after this step" in answer.err
    state = tmp_path / "runs" / "mini" / "autoencoder" / "state.safetensors"
    assert store.read(state)[1] == {"step": "2"}
    assert sfumato(*words).status == 0
    assert seen == [1, 2, 3, 4]
    assert (tmp_path / "runs" / "mini" / "vae.safetensors").exists()


def test_ctrl_c_before_the_first_step_is_at_once(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[str] = []

    def drawing(*_: object, **__: object) -> None:
        interrupt()
        reached.append("on")

    monkeypatch.setattr(bundled, "train_autoencoder", drawing)
    before = signal.getsignal(signal.SIGINT)
    assert sfumato("train", "autoencoder", "--no-compile", "--device", "cpu").status == 130
    assert reached == []
    assert signal.getsignal(signal.SIGINT) is before


def test_a_request_to_end_is_heard_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_does_not_wait() -> None:
    with stopping() as stop:
        assert not stop()
        interrupt()
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


def test_all_of_it_goes_from_the_pictures_to_the_file_and_skips_what_is_done(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second, last, names = Told(), Told(leaves=True), Told(), Told()
    monkeypatch.setattr(bundled, "train_autoencoder", first.train)
    monkeypatch.setattr(bundled, "train_denoiser", second.train)
    monkeypatch.setattr(polish, "train_decoder", last.train)
    monkeypatch.setattr(train_names, "train_naming", names.train)

    def make(folder: Path, out: Path, card: dict[str, str]) -> Exported:
        return Exported(out, 39_000_000, 35_000_000, 6500, 0.0078, 0.036)

    monkeypatch.setattr(export, "export", make)
    words = ("train", "--no-compile", "--device", "cpu", "--folder", "run")
    answer = sfumato(*words)
    assert answer.status == 0
    assert [len(each.calls) for each in (first, second, last, names)] == [1, 1, 1, 1]
    assert "35,000,000 numbers in 39.0 MB" in answer.out
    assert "off by 0.78%, at most 3.60%" in answer.out
    assert "Autoencoder: trained already." in sfumato(*words).err
    assert len(first.calls) == 1
    assert len(second.calls) == 2


def test_from_a_model_its_autoencoder_is_taken_and_its_denoiser_is_the_beginning(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = Told(), Told(leaves=True)
    monkeypatch.setattr(bundled, "train_autoencoder", first.train)
    monkeypatch.setattr(bundled, "train_denoiser", second.train)
    monkeypatch.setattr(polish, "train_decoder", Told().train)
    monkeypatch.setattr(train_names, "train_naming", Told().train)
    monkeypatch.setattr(export, "export", lambda *_: Exported(Path("x"), 1, 1, 1, 0.0, 0.0))
    answer = sfumato(
        "train", "--no-compile", "--device", "cpu", "--folder", "run", "--from", "mini"
    )
    assert answer.status == 0
    assert not first.calls
    (begun,) = second.begun
    assert begun is not None
    ours = parts_of(shipped(str(MINI.asset)))
    for mine, its in ((begun.vae, ours.vae), (begun.denoiser, ours.denoiser)):
        theirs = its.state_dict()
        assert all(torch.equal(t, theirs[name]) for name, t in mine.state_dict().items())


def test_the_report_is_rows_of_a_table(sfumato: Sfumato, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "denoiser"
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text('{"step": 10, "loss": 0.25, "seconds_a_step": 3.0}\n')
    answer = sfumato("train", "report", "--folder", "run")
    assert answer.out.splitlines() == [
        "| denoiser steps | 10 |",
        "| denoiser seconds | 30 |",
        "| denoiser train loss | 0.25 |",
    ]


def test_a_sheet_of_an_unknown_model_is_refused_before_it_paints(sfumato: Sfumato) -> None:
    assert "none.safetensors" in sfumato("train", "sheet", "none.safetensors", "a.png").refused()
    assert not Path("a.png").exists()
