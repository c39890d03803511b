"""The measure tells a perfect painter from a blind one, and says the same twice."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from sfumato.text.words import forms, words_in
from sfumato.train.backdrops import BACKDROPS
from sfumato.train.captions import plain
from sfumato.train.grammar import bare
from sfumato.train.measure import evaluation, features
from sfumato.train.measure import judges as room
from sfumato.train.measure.asks import GROUPS, Ask, asks
from sfumato.train.measure.ceilings import Through
from sfumato.train.measure.evaluation import Bench, Evaluation, Measured, evaluate
from sfumato.train.measure.features import Eye
from sfumato.train.measure.hands import FOLDS
from sfumato.train.measure.judges import judges
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
class Place:
    """All that a measurement needs but the painter."""

    scenes: Scenes
    bench: Bench
    folder: Path


@pytest.fixture(scope="module", autouse=True)
def nearsighted() -> Iterator[None]:
    """The eye sees pictures small, which takes a sixth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "SIDE", 64)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
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
    return Place(scenes, Bench(reals, judges(reals, eye, folder), eye), folder)


def blur(pictures: Picture) -> Picture:
    """A bad autoencoder: nothing but the mean colour is left."""
    return np.broadcast_to(pictures.mean((1, 2), keepdims=True), pictures.shape).astype(np.uint8)


def measured(place: Place, *, blind: bool = False, through: Through = np.copy) -> Evaluation:
    """What a painter gets who paints real pictures, or one who paints noise."""

    def painted(some: Sequence[Ask], settings: Settings) -> Picture:
        if blind:
            rng = np.random.default_rng(len(some))
            return rng.integers(0, 255, (len(some), 128, 128, 3), dtype=np.uint8)
        return np.stack([place.bench.reals.scenes.show(ask.facts).picture for ask in some])

    return evaluate(Measured(painted, 3.0, through), place.scenes, place.bench, portion=PORTION)


@pytest.fixture(scope="module")
def perfect(place: Place) -> Evaluation:
    return measured(place)


def figures(made: Evaluation) -> dict[str, float]:
    return {row.name: row.value.percent for row in (*made.rows, *made.memory)}


def test_a_perfect_painter_gets_it_right_and_copies(perfect: Evaluation) -> None:
    found = figures(perfect)
    for name in (
        "seen cells: subject, top 1",
        "in a backdrop: subject, top 1",
        "count",
        "relation",
    ):
        assert found[name] >= 75, name
    assert found["background, named"] >= 50  # the few drawings were not laid on every ground
    assert found["backdrop, named"] >= 75
    assert found["seen cells: near-copies"] == 100


def test_a_blind_painter_gets_no_more_than_chance_and_copies_nothing(place: Place) -> None:
    found = figures(measured(place, blind=True))
    assert found["seen cells: subject, top 1"] < 60  # of four subjects
    assert found["background, named"] < 40
    assert found["backdrop, named"] < 40
    assert found["seen cells: near-copies"] == 0


def test_the_same_measurement_says_the_same(place: Place, perfect: Evaluation) -> None:
    one, two = (replace(made, seconds={}) for made in (perfect, measured(place)))
    assert one.as_json() == two.as_json()


def test_judges_kept_judge_as_those_just_made(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "made_of", None)  # must be read, not made
    made = place.bench.judges
    kept = judges(place.bench.reals, place.bench.eye, place.folder)
    assert kept.crowd.cells == made.crowd.cells
    for one, two in zip((kept.panel, *kept.without), (made.panel, *made.without), strict=True):
        np.testing.assert_array_equal(one.subject.weights, two.subject.weights)
        assert one.style.names == two.style.names


def test_the_same_figures_stand_beside_those_of_unseen_drawings_as_drawn_and_after(
    place: Place, perfect: Evaluation
) -> None:
    rows = {row.name: row for row in measured(place, through=blur).rows}
    for row in perfect.rows:
        assert row.ceiling == row.after  # nothing was lost on the way
        assert rows[row.name].ceiling == row.ceiling
    count = rows["count"]
    assert count.ceiling is not None
    assert count.after is not None
    assert count.after.percent <= 50 < count.ceiling.percent


def test_who_judges_an_unseen_drawing_learnt_from_none_of_its_looks(place: Place) -> None:
    reals = place.bench.reals
    folds = {reals.asked(reals.scenes.told("1f436", look)).fold for look in ("3d", "flat")}
    assert len(folds) == 1  # by the same hand
    rng = np.random.default_rng(9)
    seen, labels = rng.standard_normal((60, 5)).astype(np.float32), list("abc" * 20)
    fold = rng.integers(0, FOLDS, 60)
    own = np.flatnonzero(fold == 2)
    changed = list(labels)
    for i, j in zip(own, np.roll(own, 1), strict=True):
        changed[i] = labels[j]
    one, two = (room.fit(seen, some, fold, 0.1) for some in (labels, changed))
    np.testing.assert_allclose(one[1 + 2].weights, two[1 + 2].weights, rtol=1e-3, atol=1e-5)
    assert not np.allclose(one[0].weights, two[0].weights, atol=1e-2)


def test_more_is_asked_of_what_is_not_yet_sure_and_no_more_than_there_may_be(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(within: float) -> dict[str, int]:
        monkeypatch.setattr(evaluation, "WITHIN", within * PORTION**0.5)
        told = measured(place, blind=True).told
        return {group: sum(ask.group == group for ask, _ in told) for group in GROUPS}

    content, never = counted(100), counted(0)
    most = {group: max(1, round(PORTION * size.most)) for group, size in GROUPS.items()}
    for group, size in GROUPS.items():
        if group == "held subjects":  # there are none among these few
            continue
        assert content[group] == max(1, round(PORTION * size.round)), group
        assert never[group] == most[group], group


def test_what_is_held_out_is_asked_for_and_was_never_shown(place: Place) -> None:
    made = asks(place.scenes, place.bench.reals.scenes, PORTION)
    held = {(a.facts.subject, a.facts.style) for a in made["held cells"]}
    assert held == set(place.scenes.held_back()) == {("1f436", "cartoon"), ("1f697", "3d")}
    seen = {(a.facts.subject, a.facts.style) for a in made["seen"]}
    assert not held & seen


def test_every_ask_says_what_is_to_be_seen_and_paraphrases_say_it_otherwise(place: Place) -> None:
    made = asks(place.scenes, place.bench.reals.scenes, PORTION)
    assert made.keys() >= {"seen", "ground", "label", "paraphrase", "count", "relation"}
    for ask in (ask for some in made.values() for ask in some):
        said = plain(ask.facts, place.bench.reals.scenes.subjects)
        assert (ask.prompt == said) == (ask.group != "paraphrase")
    label, other = ([a.facts for a in made[group]] for group in ("label", "paraphrase"))
    assert label == other
    assert all(a.facts.background not in (None, "white") for a in made["ground"])
    outdoors = [a.facts for a in made["backdrop"]]
    assert len({facts.background for facts in outdoors}) > 3
    for facts in outdoors:
        assert facts.background in place.scenes.backdrops(facts)
    for group, size in GROUPS.items():
        seeds = [ask.seed for ask in made[group]]
        assert len(seeds) == len(set(seeds)) <= max(1, round(PORTION * size.most))


def test_real_drawings_are_shown_in_the_backdrops_too(place: Place) -> None:
    reals = place.bench.reals
    outdoors = [real for real in reals.singles() if real.facts.background in BACKDROPS]
    assert {real.ground for real in outdoors} == BACKDROPS.keys()
    assert {real.soft is None for real in outdoors} == {True, False}
    assert len({real.seed for real in outdoors}) > 5
    for real in outdoors[:6]:
        assert (real.alone, real.plain) == (False, False)
        other = reals.draw(replace(real, seed=real.seed + 1))
        assert not np.array_equal(reals.draw(real), other)


def _says(wording: str, name: str) -> bool:
    """Whether all that a name says stands in a wording too, in any order or written as one."""
    small = {"a", "an", "the", "of", "with", "for", "in", "on", "from"}
    said = words_in(wording)
    heard = {form for word in said for form in forms(word)}
    apart = ["".join(said[i:j]) for i in range(len(said)) for j in range(i + 1, len(said) + 1)]
    together = "".join(words_in(bare(name)))
    return together in apart or all(
        heard & {*forms(word)} for word in words_in(name) if word not in small
    )


def _runs(wording: str, name: str) -> bool:
    """Whether a wording has a name's words side by side, or written as one."""
    said, sought = words_in(wording), words_in(bare(name))
    return "".join(sought) in said or any(
        all({*forms(said[i + j])} & {*forms(word)} for j, word in enumerate(sought))
        for i in range(len(said) - len(sought) + 1)
    )


def test_no_paraphrase_is_a_wording_of_the_training_or_stands_in_one() -> None:
    from sfumato.train.captions import FRAMES, focus_subjects, other_subjects
    from sfumato.train.captions import STYLES as WORDS
    from sfumato.train.measure.asks import table

    told, subjects = table(), focus_subjects()
    for code, name in told["subjects"].items():
        some = subjects[code]
        said = [each for each in (*some.words, *some.wider, *some.kinds) if _says(each, name)]
        assert said == [], name
    # Nor do they stand in further names of another thing. Its first names are the field's own ("a
    # world map").
    for entry in (*subjects.values(), *other_subjects().values()):
        for each in (*entry.wider, *entry.kinds):
            assert not any(_runs(each, name) for name in told["subjects"].values()), each
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
