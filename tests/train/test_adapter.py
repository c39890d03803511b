"""An adapter learns where things stand on ever new pairs, from the simple to the whole."""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.nn.bert import Adapter
from sfumato.train import adapter
from sfumato.train.adapter import AdapterConfig, AdapterTask
from sfumato.train.captions import Facts
from sfumato.train.loop import TrainingError
from sfumato.train.places import Places, standing
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.start import start
from tests.train import tiny

CONFIG = AdapterConfig(pairs=4, others=2, ordered=3, plainly=2, free=5)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    tiny.pack(path)
    return Scenes(path, SceneConfig(size=32, relations=0.5))


class Heard(Places):
    """Remembers what it was asked."""

    asked: tuple[Facts, ...] = ()

    def loss(self, context: Tensor, mask: Tensor, some: Sequence[Facts]) -> Tensor:
        self.asked = tuple(some)
        return super().loss(context, mask, some)


def task(
    scenes: Scenes, config: AdapterConfig = CONFIG, *, hold: bool = True, workers: int = 0
) -> AdapterTask:
    layers, lesson = Adapter(tiny.TEXT), Heard(tiny.TEXT.width, sorted(scenes.subjects), 0.5)
    start(layers, 0)
    start(lesson, 1)
    reader = tiny.reader()
    return AdapterTask(config, scenes, reader, layers, lesson, hold=hold, workers=workers)


def asked(task: AdapterTask, step: int) -> tuple[Facts, ...]:
    task.losses(step)
    assert isinstance(task.lesson, Heard)
    return task.lesson.asked


def test_a_step_is_a_function_of_its_number_and_shows_what_no_other_did(scenes: Scenes) -> None:
    one, other = task(scenes), task(scenes)
    first, second = (one.losses(step)["loss"] for step in (8, 9))
    assert torch.equal(other.losses(8)["loss"], first)
    assert not torch.equal(first, second)
    assert asked(one, 8) != asked(one, 9)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows forks no processes")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_other_processes_change_no_step(scenes: Scenes) -> None:
    here, ahead = task(scenes), task(scenes, workers=2)
    for step in (8, 9):
        one, other = here.losses(step), ahead.losses(step)
        assert all(torch.equal(one[name], other[name]) for name in one)
    ahead.close()


def test_a_step_has_pairs_with_both_places_told_and_others(scenes: Scenes) -> None:
    places = [len(standing(facts)) for facts in asked(task(scenes), 90)]
    assert places == [2, 2, 2, 2, 1, 1]


def test_at_first_the_first_named_stands_above_or_to_the_left(scenes: Scenes) -> None:
    def first(steps: range) -> set[str]:
        told = (facts for step in steps for facts in asked(learnt, step)[: CONFIG.pairs])
        return {next(iter(standing(facts))) for facts in told}

    learnt = task(scenes)
    assert first(range(1, 4)) <= {"top", "left"}
    assert first(range(90, 100)) == {"top", "bottom", "left", "right"}


def test_at_first_pairs_are_put_in_the_plainest_words(scenes: Scenes) -> None:
    def plainly(step: int) -> float:
        learnt = task(scenes)
        seen, said = learnt._sight(step)
        words = [learnt.words.plain(facts) for facts in seen[: CONFIG.pairs]]
        alike = said[: CONFIG.pairs] == learnt.reader.pieces(words)
        return float(alike.all(axis=1).mean())

    assert plainly(1) == plainly(2) == 1
    assert sum(plainly(step) for step in range(90, 98)) < 8 * 0.6


def test_states_are_held_near_those_before_but_not_at_first(scenes: Scenes) -> None:
    learnt = task(scenes)
    assert learnt.losses(6)["moved"].item() == 0  # for nothing has moved
    with torch.no_grad():
        for p in learnt.layers.parameters():
            p.mul_(1.1)
    assert learnt.losses(5)["moved"].item() == 0
    once = learnt.losses(6)["moved"].item()
    assert once > 0
    twice = task(scenes, replace(CONFIG, hold=6.0))
    twice.layers.load_state_dict(learnt.layers.state_dict())
    assert twice.losses(6)["moved"].item() == pytest.approx(2 * once, rel=1e-6)


def test_what_begins_from_nothing_is_not_held(scenes: Scenes) -> None:
    assert set(task(scenes, hold=False).losses(6)) == {"loss"}


def test_it_is_judged_by_the_share_of_pairs_with_both_in_their_places(scenes: Scenes) -> None:
    class Half(Heard):
        def right(self, context: Tensor, mask: Tensor, some: Sequence[Facts]) -> list[bool]:
            assert all(len(standing(facts)) == 2 for facts in some)
            return [i % 2 == 0 for i in range(len(some))]

    learnt = task(scenes)
    half = Half(tiny.TEXT.width, sorted(scenes.subjects), 0.5)
    assert learnt.validate({**learnt.modules, "lesson": half}) == {
        "plain_right": 0.5,
        "said_right": 0.5,
    }


def test_order_is_learnt(scenes: Scenes) -> None:
    learnt = task(scenes, replace(CONFIG, pairs=16, others=8, ordered=999, plainly=999), hold=False)
    parts = [p for module in learnt.modules.values() for p in module.parameters()]
    adam = torch.optim.Adam(parts, lr=0.01)
    losses: list[float] = []
    for step in range(1, 121):
        loss = learnt.losses(step)["loss"]
        loss.backward()
        adam.step()
        adam.zero_grad()
        losses.append(loss.item())
    coin = 32 / 40 * math.log(2)  # who knows both subjects of a pair, and not which stands where
    assert sum(losses[-10:]) / 10 < 0.8 * coin


def test_scenes_without_pairs_teach_nothing_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_LOOKED_THROUGH", 500)
    path = tmp_path / "emoji.zip"
    tiny.pack(path)
    alone = Scenes(path, SceneConfig(size=32, relations=0.0))
    with pytest.raises(TrainingError, match=r"only 0 are of a kind.*\n.*scenes\.relations"):
        task(alone).losses(1)
