"""The measure tells a perfect painter from a blind one, and says the same twice."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.train.captions import plain
from sfumato.train.measure import judges as room
from sfumato.train.measure.asks import GROUPS, Ask, asks
from sfumato.train.measure.evaluation import Evaluation, evaluate
from sfumato.train.measure.features import Eye
from sfumato.train.measure.judges import Judges, judges
from sfumato.train.measure.page import page, samples
from sfumato.train.measure.paint import Settings
from sfumato.train.measure.reals import Reals
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.start import start
from sfumato.train.stylize import Picture
from tests.train import tiny

STYLES = ("3d", "flat", "line art", "cartoon", "sticker")
PORTION = 0.02


@dataclass(frozen=True)
class Bench:
    """All that a measurement needs but the painter."""

    scenes: Scenes
    reals: Reals
    judges: Judges
    eye: Eye
    folder: Path


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("measure")
    tiny.pack(folder / "emoji.zip")
    styles = tuple((style, 1.0) for style in STYLES)
    scenes = Scenes(folder / "emoji.zip", SceneConfig(styles=styles))
    reals = Reals(folder / "emoji.zip", STYLES)
    eye = Eye().eval().requires_grad_(False)
    start(eye, 7)
    for number, part in enumerate(eye.modules()):
        if hasattr(part, "groups"):  # its convolutions, which torch's own classes do not hold
            generator = np.random.default_rng(number)
            shape = tuple(part.weight.shape)
            drawn = generator.standard_normal(shape, np.float32) / np.sqrt(np.prod(shape[1:]) / 2)
            part.weight.copy_(tiny.torch.from_numpy(drawn.astype(np.float32)))
            part.bias.zero_()
    return Bench(scenes, reals, judges(reals, eye, folder), eye, folder)


def measured(bench: Bench, *, blind: bool = False) -> Evaluation:
    """What a painter gets who paints real pictures, or one who paints noise."""

    def painted(some: Sequence[Ask], settings: Settings) -> Picture:
        if blind:
            rng = np.random.default_rng(len(some))
            return rng.integers(0, 255, (len(some), 128, 128, 3), dtype=np.uint8)
        return np.stack([bench.reals.scenes.show(ask.facts).picture for ask in some])

    return evaluate(
        painted, 3.0, bench.scenes, bench.reals.scenes, bench.judges, bench.eye, portion=PORTION
    )


@pytest.fixture(scope="module")
def perfect(bench: Bench) -> Evaluation:
    return measured(bench)


def figures(made: Evaluation) -> dict[str, float]:
    return {row.name: row.value.percent for row in (*made.rows, *made.memory)}


def test_a_perfect_painter_gets_it_right_and_copies(perfect: Evaluation) -> None:
    found = figures(perfect)
    for name in ("seen cells: subject, top 1", "count", "relation"):
        assert found[name] >= 75, name
    assert found["background, named"] >= 50  # the few drawings were not laid on every ground
    assert found["seen cells: near-copies"] == 100


def test_a_blind_painter_gets_no_more_than_chance_and_copies_nothing(bench: Bench) -> None:
    found = figures(measured(bench, blind=True))
    assert found["seen cells: subject, top 1"] < 60  # of four subjects
    assert found["background, named"] < 40
    assert found["seen cells: near-copies"] == 0


def test_the_same_measurement_says_the_same(bench: Bench, perfect: Evaluation) -> None:
    one, two = (replace(made, seconds={}) for made in (perfect, measured(bench)))
    assert one.as_json() == two.as_json()


def test_judges_kept_judge_as_those_just_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "made_of", None)  # must be read, not made
    kept = judges(bench.reals, bench.eye, bench.folder)
    assert kept.ceilings == bench.judges.ceilings
    assert kept.crowd.cells == bench.judges.crowd.cells
    np.testing.assert_array_equal(kept.subject.weights, bench.judges.subject.weights)


def test_what_is_held_out_is_asked_for_and_was_never_shown(bench: Bench) -> None:
    made = asks(bench.scenes, bench.reals.scenes, PORTION)
    held = {(a.facts.subject, a.facts.style) for a in made if a.group == "held cells"}
    assert held == set(bench.scenes.held_back()) == {("1f436", "cartoon"), ("1f697", "3d")}
    seen = {(a.facts.subject, a.facts.style) for a in made if a.group == "seen"}
    assert not held & seen


def test_every_ask_says_what_is_to_be_seen_and_paraphrases_say_it_otherwise(bench: Bench) -> None:
    made = asks(bench.scenes, bench.reals.scenes, PORTION)
    assert {ask.group for ask in made} >= {"seen", "label", "paraphrase", "count", "relation"}
    for ask in made:
        said = plain(ask.facts, bench.reals.scenes.subjects)
        assert (ask.prompt == said) == (ask.group != "paraphrase")
    label, other = ([a.facts for a in made if a.group == g] for g in ("label", "paraphrase"))
    assert label == other
    for group, count in GROUPS.items():
        seeds = [ask.seed for ask in made if ask.group == group]
        assert len(seeds) == len(set(seeds)) <= max(1, round(PORTION * count))


def test_no_paraphrase_is_a_wording_of_the_training() -> None:
    from sfumato.train.captions import FRAMES, focus_subjects
    from sfumato.train.captions import STYLES as WORDS
    from sfumato.train.measure.asks import table

    told, subjects = table(), focus_subjects()
    for code, name in told["subjects"].items():
        assert name not in (*subjects[code].words, *subjects[code].wider)
    frames = {frame.format(phrase="SUBJECT", style="STYLE") for frame in FRAMES}
    assert not frames & set(told["sentences"])
    for style, wordings in told["styles"].items():
        assert not set(wordings) & {*WORDS[style].after, *WORDS[style].before, *WORDS[style].of}


def test_the_page_shows_every_figure_with_its_interval_and_the_report_is_json(
    perfect: Evaluation,
) -> None:
    made = perfect
    text = page(made, "tiny", ["a line"])
    table = json.loads(made.as_json())
    assert len(table["figures"]) == len(made.rows) > 10
    for row in (*made.rows, *made.memory):
        assert f"| {row.name} | {row.value.percent:.1f} ± {row.value.within:.1f} |" in text
    assert samples(made.samples)[8:12] == b"WEBP"
