"""A training that is stopped, killed or torn goes on as if nothing had happened, to the bit."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sfumato.errors import OutputError, WeightsError
from sfumato.train import store
from sfumato.train.loop import LoopConfig, Task, TrainingError, fit
from sfumato.train.muon import MuonConfig
from tests.train import tiny

RATES = MuonConfig(rate=0.02, adam=0.01)
Weights = Mapping[str, Tensor]


class Line:
    """Learns the slope of a line; the loss of a step is known by hand."""

    def __init__(self, bad: int = 0) -> None:
        self.model = nn.Linear(1, 1)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)
        self.bad = bad
        self.judged: list[int] = []
        self.weights: list[float] = []

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"line": self.model}

    def losses(self, step: int) -> Mapping[str, Tensor]:
        self.weights.append(self.model.bias.item())
        x = torch.tensor([[float(step % 3)]])
        error = self.model(x) - 2 * x - 1
        return {"loss": error.square().mean() * (float("nan") if step == self.bad else 1.0)}

    def validate(self, modules: Mapping[str, nn.Module]) -> dict[str, float]:
        assert not modules["line"].training
        self.judged.append(len(self.weights))
        return {"held": 1.0}


def config(steps: int, save_seconds: float = 1e9) -> LoopConfig:
    return LoopConfig(
        steps, warmup=2, cooldown=3, save_seconds=save_seconds, log_steps=2, validate_steps=4
    )


def silent(_: dict[str, float]) -> None: ...


def train(task: Task, folder: Path, steps: int, until: int | None = None) -> None:
    """To the end, or stopped after `until` steps."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == until

    fit(task, config(steps), RATES, folder, tell=silent, stop=stop)


def everything(folder: Path) -> Weights:
    return store.read(folder / "state.safetensors")[0]


def same(a: Weights, b: Weights) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_rates_warm_up_stay_and_cool_down() -> None:
    loop = LoopConfig(10, warmup=4, cooldown=5)
    factors = [loop.factor(step) for step in range(1, 11)]
    assert factors == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])


def test_the_average_is_that_of_all_weights_with_the_newest_heaviest(tmp_path: Path) -> None:
    task, loop = Line(), config(12)
    averaged = fit(task, loop, RATES, tmp_path, tell=silent)
    task.losses(13)  # notes the weights after the last step too
    mean = 0.0
    for step, bias in enumerate(task.weights[1:], start=1):
        keep = min(0.999, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * bias
    module = averaged["line"]
    assert isinstance(module, nn.Linear)
    assert module.bias.item() == pytest.approx(mean, rel=1e-5)
    assert not module.bias.requires_grad


def test_the_loss_falls_and_the_log_says_so(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    task = Line()
    fit(
        task,
        LoopConfig(60, warmup=2, cooldown=20, log_steps=6, validate_steps=24),
        MuonConfig(rate=0.1, adam=0.1),
        tmp_path,
        tell=told.append,
    )
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == told
    assert [line["step"] for line in lines] == list(range(6, 61, 6))
    assert {line["steps"] for line in lines} == {60}
    assert lines[-1]["loss"] < 0.05 * lines[0]["loss"]
    assert all(line["seconds_a_step"] > 0 for line in lines)
    assert [line["step"] for line in lines if "held" in line] == [24, 48, 60]
    assert task.judged == [24, 48, 60]


def test_the_sum_of_losses_is_trained_and_each_is_told_by_its_name(tmp_path: Path) -> None:
    class Two(Line):
        """The second loss pulls the slope to 5, three times as strongly as a first one to 1."""

        def losses(self, step: int) -> Mapping[str, Tensor]:
            slope = self.model.weight.sum() + 0 * self.model.bias.sum()
            far = 3 * (slope - 5).square()
            return {
                "loss": (slope - 1).square(),
                "pull": float("nan") * far if step == self.bad else far,
            }

    told: list[dict[str, float]] = []
    loop = LoopConfig(400, warmup=2, cooldown=300, log_steps=50)
    task = Two()
    fit(task, loop, MuonConfig(rate=0.1, adam=0.1, decay=0.0), tmp_path, tell=told.append)
    assert task.model.weight.item() == pytest.approx(4, abs=0.05)  # their sum is least there
    assert told[-1]["loss"] == pytest.approx(9, rel=0.1)
    assert told[-1]["pull"] == pytest.approx(3, rel=0.1)
    with pytest.raises(TrainingError, match=r"fell apart at step 2: the pull is nan"):
        fit(Two(bad=2), loop, RATES, tmp_path / "bad", tell=silent)


def test_it_is_judged_when_due_even_between_two_lines_of_the_log(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    loop = LoopConfig(10, log_steps=4, validate_steps=3)
    fit(Line(), loop, RATES, tmp_path, tell=told.append)
    assert [line["step"] for line in told] == [3, 4, 6, 8, 9, 10]
    assert [line["step"] for line in told if "held" in line] == [3, 6, 9, 10]


@pytest.mark.parametrize("make", [tiny.autoencoder, tiny.denoiser], ids=["autoencoder", "denoiser"])
@pytest.mark.parametrize("until", [1, 3])
def test_stopped_and_taken_up_ends_in_the_same_weights(
    make: Callable[[], Task], until: int, tmp_path: Path
) -> None:
    train(make(), tmp_path / "whole", steps=6)
    with pytest.raises(KeyboardInterrupt):
        train(make(), tmp_path / "parts", steps=6, until=until)
    between = everything(tmp_path / "parts")
    train(make(), tmp_path / "parts", steps=6)
    whole = everything(tmp_path / "whole")
    assert not same(whole, between)
    assert same(whole, everything(tmp_path / "parts"))


CHILD = """
import sys, torch
from pathlib import Path
from sfumato.train.loop import LoopConfig, fit
from sfumato.train.muon import MuonConfig
from tests.train import tiny
torch.set_num_threads(1)
loop = LoopConfig(400, warmup=2, cooldown=3, save_seconds=0, log_steps=1, validate_steps=4)
tell = lambda line: print(int(line["step"]), flush=True)
fit(tiny.autoencoder(), loop, MuonConfig(rate=0.02, adam=0.01), Path(sys.argv[1]), tell=tell)
"""


def test_killed_between_two_saves_it_ends_in_the_same_weights(tmp_path: Path) -> None:
    command = (sys.executable, "-c", CHILD, str(tmp_path / "killed"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 3:
                child.kill()
                break
    assert child.returncode == -signal.SIGKILL
    words = store.read(tmp_path / "killed" / "state.safetensors")[1]
    done = int(words["step"])
    assert done >= 2
    loop = LoopConfig(done + 3, warmup=2, cooldown=0, save_seconds=1e9, log_steps=1)
    for name in ("killed", "whole"):
        fit(tiny.autoencoder(), loop, RATES, tmp_path / name, tell=silent)
    assert same(everything(tmp_path / "killed"), everything(tmp_path / "whole"))
    lines = (tmp_path / "killed" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, done + 4))


def test_lines_of_steps_that_were_lost_leave_the_log(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, steps=8, until=4)
    log = tmp_path / "log.jsonl"
    kept = log.read_text()
    log.write_text(kept + '{"step": 6, "loss": 1}\n{"step": 8, "lo')  # killed while it wrote
    train(Line(), tmp_path, steps=8)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert log.read_text().startswith(kept)


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    torn = tmp_path / ".sfumato-0123456789abcdef.part"
    torn.write_bytes(b"half")
    train(Line(), tmp_path, steps=2)
    assert not torn.exists()


def test_a_finished_training_is_not_trained_on(tmp_path: Path) -> None:
    train(Line(), tmp_path, steps=4)
    task = Line()
    train(task, tmp_path, steps=4)
    assert task.weights == []


def test_states_are_saved_when_their_time_has_come(tmp_path: Path) -> None:
    seen: list[str] = []

    def look(_: dict[str, float]) -> None:
        path = tmp_path / "state.safetensors"
        seen.append(store.read(path)[1]["step"] if path.exists() else "none")

    fit(Line(), config(6, save_seconds=0), RATES, tmp_path, tell=look)
    assert seen == ["1", "3", "5"]


def test_a_state_of_another_training_is_refused_by_name(tmp_path: Path) -> None:
    train(tiny.autoencoder(), tmp_path, steps=1)
    with pytest.raises(WeightsError, match=r"another training.* such as .*\n.*another folder"):
        train(Line(), tmp_path, steps=2)


def test_a_state_of_another_size_is_refused_by_name(tmp_path: Path) -> None:
    train(Line(), tmp_path, steps=1)
    path = tmp_path / "state.safetensors"
    tensors, words = store.read(path)
    tensors["weights.line.bias"] = torch.zeros(2)
    store.write(tensors, path, words)
    with pytest.raises(WeightsError, match=r"1 tensors differ, such as weights\.line\.bias"):
        train(Line(), tmp_path, steps=2)


def test_a_torn_state_is_refused_by_name(tmp_path: Path) -> None:
    train(Line(), tmp_path, steps=1)
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(WeightsError, match="is damaged"):
        train(Line(), tmp_path, steps=2)


def test_a_training_that_falls_apart_says_so_and_keeps_the_good_state(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, steps=9, until=4)
    good = everything(tmp_path)
    with pytest.raises(TrainingError, match=r"fell apart at step 6: the loss is nan"):
        train(Line(bad=6), tmp_path, steps=9)
    assert same(good, everything(tmp_path))


def test_a_step_between_two_lines_is_judged_before_a_state_is_saved(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, steps=12, until=4)
    good = everything(tmp_path)
    task = Line(bad=5)
    loop = LoopConfig(12, log_steps=100, validate_steps=100)

    def stop() -> bool:
        return len(task.weights) == 3

    with pytest.raises(TrainingError, match=r"fell apart at step 5: the loss is nan"):
        fit(task, loop, RATES, tmp_path, tell=silent, stop=stop)
    assert len(task.weights) == 3  # until then no figure was waited for
    assert same(good, everything(tmp_path))


def test_a_full_disk_is_told_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    task = Line()
    with pytest.raises(OutputError, match="make room"):
        train(task, tmp_path, steps=2)
    assert task.weights == []


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        train(Line(), tmp_path / "run", steps=2)
