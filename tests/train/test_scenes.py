"""Scenes: the same number gives the same picture, facts are true, held drawings never appear."""

import io
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sfumato.train import scenes as room
from sfumato.train.backdrops import BACKDROPS
from sfumato.train.captions import Facts, Subject, other_subjects
from sfumato.train.drawings import BLACK, held_cells, may_be_mirrored
from sfumato.train.scenes import GROUNDS, Example, SceneConfig, Scenes, drawn
from sfumato.train.sources import SourcesError
from sfumato.train.stylize import DERIVED, tint

DOG, CAR, STAR, TREE, GHOST, RED_HEART = "1f436", "1f697", "2b50", "1f333", "1f47b", "2764"
COLOURS = {
    DOG: (122, 72, 40),
    CAR: (214, 30, 36),
    STAR: (250, 205, 40),
    TREE: (50, 160, 60),
    GHOST: (250, 250, 250),
    RED_HEART: (220, 20, 40),
}
OWL, FLASK, COMPASS = "1f989", "2697", "1f9ed"  # the last two: not of the focus list
BASE = ("3d", "flat", "line art", "cartoon", "sticker")


def drawing(code: str, style: str) -> bytes:
    image = Image.new("RGBA", (128, 128))
    pen = ImageDraw.Draw(image)
    colour = (*COLOURS[code], 255)
    if style == "line art":
        pen.ellipse((9, 9, 118, 118), outline=(0, 0, 0, 255), width=6)
    elif code in (STAR, TREE):  # a cross: ragged enough for a silhouette
        pen.rectangle((54, 9, 74, 118), fill=colour)
        pen.rectangle((9, 54, 118, 74), fill=colour)
    else:
        pen.ellipse((9, 9, 118, 118), fill=colour)
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    return out.getvalue()


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "emoji.zip"
    kinds = {DOG: "animal-mammal", CAR: "transport-ground", RED_HEART: "heart"}
    subjects = {
        code: {
            "label": "thing",
            "group": "objects",
            "subgroup": kinds.get(code, "plant-other"),
            "synonyms": [],
            "styles": list(BASE),
        }
        for code in COLOURS
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps({"subjects": subjects}))
        for code in COLOURS:
            for style in BASE:
                archive.writestr(f"{style}/{code}.webp", drawing(code, style))
    return path


@pytest.fixture(scope="module")
def scenes(pack: Path) -> Scenes:
    return Scenes(pack, SceneConfig(seed=3))


def first(scenes: Scenes, test: object, many: int = 20000) -> int:
    assert callable(test)
    return next(i for i in range(many) if test(scenes.facts(i)))


def test_an_example_depends_on_its_number_alone(pack: Path, scenes: Scenes) -> None:
    again = Scenes(pack, SceneConfig(seed=3))
    order = list(range(40))
    forwards = {i: scenes.draw(i) for i in order}
    for i in reversed(order):
        example = again.draw(i)
        assert example.facts == forwards[i].facts == scenes.facts(i)
        assert np.array_equal(example.picture, forwards[i].picture)


def test_another_seed_draws_other_pictures(pack: Path, scenes: Scenes) -> None:
    other = Scenes(pack, SceneConfig(seed=4))
    assert [other.facts(i) for i in range(30)] != [scenes.facts(i) for i in range(30)]


def test_held_cells_and_subjects_are_never_drawn_nor_made_into_other_looks(scenes: Scenes) -> None:
    cells, subjects = held_cells()
    assert (DOG, "cartoon") in cells  # the pack has both, so they could be drawn
    assert (CAR, "3d") in cells
    assert RED_HEART in subjects
    drawn = [scenes.facts(i) for i in range(5000)]
    codes = {(facts.subject, facts.style) for facts in drawn}
    codes |= {(facts.relation[1], facts.style) for facts in drawn if facts.relation is not None}
    assert not codes & cells
    assert not {code for code, _ in codes} & subjects


def test_a_derived_look_is_made_from_another_drawing_when_the_first_is_held(pack: Path) -> None:
    made_from = DERIVED["silhouette"].made_from
    assert made_from[0] == "3d"  # the car's is held back
    with zipfile.ZipFile(pack) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    green = Image.new("RGBA", (128, 128), (0, 255, 0, 255))  # a whole square, unlike the other
    out = io.BytesIO()
    green.save(out, "WEBP", lossless=True)
    entries[f"3d/{CAR}.webp"] = out.getvalue()
    changed = pack.with_name("changed.zip")
    with zipfile.ZipFile(changed, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    one, two = Scenes(pack), Scenes(changed)
    for style in DERIVED:
        if (CAR, style) in {(e.facts.subject, e.facts.style) for e in one.seen()}:
            assert np.array_equal(one.cell(CAR, style).picture, two.cell(CAR, style).picture)


def test_seen_and_held_out_share_no_cell_and_lie_on_white(scenes: Scenes) -> None:
    seen = {(e.facts.subject, e.facts.style) for e in scenes.seen()}
    held = {(e.facts.subject, e.facts.style) for e in scenes.held_out()}
    assert held == {(DOG, "cartoon"), (CAR, "3d")}
    assert not seen & held
    assert len(seen) == len(scenes) == len(scenes.seen())
    for example in scenes.held_out():
        assert example.facts.background == "white"
        assert (example.picture[0, 0] == 255).all()


def test_the_ground_is_the_one_that_the_facts_name(scenes: Scenes) -> None:
    free = [i for i in range(600) if scenes.facts(i).background is not None]
    for i in free:
        example = scenes.draw(i)
        name = example.facts.background
        assert name is not None
        want = (255, 255, 255) if name == "white" else GROUNDS[name]
        assert np.abs(example.picture[0, 0].astype(int) - want).max() <= 7


def test_shares_are_the_configured_ones(scenes: Scenes) -> None:
    drawn = [scenes.facts(i) for i in range(8000)]
    free = [facts for facts in drawn if facts.background is not None]
    coloured = sum(facts.background != "white" for facts in free) / len(free)
    assert coloured == pytest.approx(0.40, abs=0.04)
    assert sum(f.count > 1 for f in drawn) / 8000 == pytest.approx(0.04, abs=0.01)
    assert sum(f.relation is not None for f in drawn) / 8000 == pytest.approx(0.035, abs=0.012)
    assert sum(f.recoloured for f in drawn) / 8000 == pytest.approx(0.037, abs=0.01)
    styles = Counter(facts.style for facts in drawn)
    assert styles["3d"] / 8000 == pytest.approx(0.2, abs=0.05)  # the car has none


def test_copies_are_as_many_as_the_facts_say(scenes: Scenes) -> None:
    def countable(facts: Facts) -> bool:
        return facts.count == 3 and facts.subject == DOG and facts.background == "white"

    picture = scenes.draw(first(scenes, countable)).picture.astype(int)
    inked = (255 * 3 - picture.sum(axis=2)) > 90
    quarters = [inked[r : r + 64, c : c + 64].mean() for r in (0, 64) for c in (0, 64)]
    top, bottom = inked[:64], inked[64:]
    assert top[:, 40:88].sum() > 0.8 * top.sum()  # one above, in the middle
    assert bottom[:, :64].sum() == pytest.approx(bottom[:, 64:].sum(), rel=0.1)
    assert min(quarters) > 0.1


def test_the_subject_stands_where_the_relation_says(scenes: Scenes) -> None:
    def above(facts: Facts) -> bool:
        return (
            facts.relation == ("above", TREE)
            and facts.subject == STAR
            and facts.style in ("flat", "3d", "sticker", "cartoon")
            and facts.background == "white"
        )

    picture = scenes.draw(first(scenes, above, 60000)).picture.astype(int)
    inked = (255 * 3 - picture.sum(axis=2)) > 90
    upper, lower = picture[:64][inked[:64]].mean(axis=0), picture[64:][inked[64:]].mean(axis=0)
    assert upper[0] > upper[1] > upper[2]  # the yellow star
    assert lower[1] > lower[0]  # the green tree


def test_a_recoloured_drawing_has_the_colour_that_it_is_said_to_have(scenes: Scenes) -> None:
    def turned(facts: Facts) -> bool:
        return facts.recoloured and facts.size is None and facts.background == "white"

    seen: set[str | None] = set()
    for i in range(6000):
        if turned(scenes.facts(i)):
            picture = scenes.draw(i).picture
            alpha = np.where((picture < 250).any(axis=2), 255, 0).astype(np.uint8)
            found = tint(np.dstack([picture, alpha]))
            assert found is not None
            assert found.name == scenes.facts(i).colour
            seen.add(found.name)
    assert len(seen) >= 5


def test_black_lines_turn_white_on_dark_grounds(scenes: Scenes) -> None:
    def dark(facts: Facts) -> bool:
        return facts.style == "line art" and facts.background == "black"

    picture = scenes.draw(first(scenes, dark)).picture
    assert picture.max() > 240
    assert picture[0, 0].max() < 40


@pytest.mark.parametrize("style", [s for s in DERIVED if DERIVED[s].own_ground])
def test_looks_with_their_own_ground_name_no_background(scenes: Scenes, style: str) -> None:
    assert scenes.cell(STAR, style).facts.background is None
    assert all(f.background is None for f in map(scenes.facts, range(2000)) if f.style == style)


def test_pixel_art_lies_on_half_latents() -> None:
    """A latent of the bundled model is 8 pixels wide: so each holds the same two pixels of art."""
    rng = np.random.default_rng(0)
    picture = np.full((128, 128, 4), 255, np.uint8)
    picture[..., :3] = np.repeat(rng.integers(256, size=(128, 16, 3)), 8, axis=1)
    made = DERIVED["pixel art"].make(picture)
    blocks = made.reshape(32, 4, 32, 4, 4)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert len(np.unique(blocks[:, 0, :, 0].reshape(-1, 4), axis=0)) > 4


def test_a_disc_has_no_silhouette_but_a_cross_has(scenes: Scenes) -> None:
    cells = {(e.facts.subject, e.facts.style) for e in scenes.seen()}
    assert (STAR, "silhouette") in cells
    assert (DOG, "silhouette") not in cells


def test_pictures_come_in_the_asked_size(pack: Path) -> None:
    small = Scenes(pack, SceneConfig(size=64))
    for i in range(60):
        picture = small.draw(i).picture
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8
    assert {e.picture.shape for e in small.seen()} == {(64, 64, 3)}


def lopsided(path: Path, subgroups: Mapping[str, str]) -> Path:
    """A packed file of red drawings, tall on their left and low on their right."""
    kinds = {
        code: {"label": "thing", "group": "any", "subgroup": kind, "styles": ["flat"]}
        for code, kind in subgroups.items()
    }
    image = Image.new("RGBA", (128, 128))
    pen = ImageDraw.Draw(image)
    pen.rectangle((9, 9, 40, 118), fill=(214, 30, 36))
    pen.rectangle((41, 90, 118, 118), fill=(214, 30, 36))
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("index.json", json.dumps({"subjects": kinds}))
        for code in kinds:
            archive.writestr(f"flat/{code}.webp", out.getvalue())
    return path


ALONE = SceneConfig(
    styles=(("flat", 1.0),), counts=0, relations=0, ground=0, recolour=0, small=0, big=0
)


def inked(example: Example) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is not white."""
    rows, columns = (np.flatnonzero((example.picture < 250).any(axis=(2, i))) for i in (1, 0))
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )


def test_all_that_are_listed_are_drawn_by_the_names_of_their_lists(tmp_path: Path) -> None:
    strange = "1f9ff-0000"
    kinds = dict.fromkeys(sorted([OWL, FLASK, COMPASS, strange, RED_HEART]), "animal-bird")
    path = lopsided(tmp_path / "emoji.zip", kinds)
    assert Scenes(path, ALONE).subjects.keys() == {OWL}
    everything = Scenes(path, replace(ALONE, focus=False))
    assert everything.subjects.keys() == {OWL, FLASK, COMPASS}
    others = other_subjects()
    for code in (FLASK, COMPASS):
        assert everything.subjects[code].words == others[code].words
        assert everything.subjects[code].wider == others[code].wider
    told = Counter(everything.facts(i).subject for i in range(4000))
    assert told[FLASK] / told[OWL] == pytest.approx(
        others[FLASK].weight / everything.subjects[OWL].weight, rel=0.25
    )


@pytest.mark.parametrize(
    ("code", "kind", "name", "free"),
    [
        (OWL, "animal-bird", "an owl", True),
        (CAR, "transport-ground", "a car", True),
        ("1f691", "transport-ground", "an ambulance", False),  # letters stand on it
        ("1f448", "hand-single-finger", "a finger that points left", False),
        ("27a1", "arrow", "a right arrow", False),
        ("1f199", "alphanum", "a sign", False),
        ("1f6c3", "animal-bird", "a left wing", False),
    ],
)
def test_what_shows_the_same_the_other_way_round_may_be_mirrored(
    code: str, kind: str, name: str, free: bool
) -> None:
    assert may_be_mirrored(Subject(code, (name,), 1.0, kind)) == free


def test_drawings_that_may_be_are_mirrored_and_nothing_else_is_said(tmp_path: Path) -> None:
    path = lopsided(tmp_path / "emoji.zip", {OWL: "animal-bird", STAR: "sky & weather"})
    usual, turned = (Scenes(path, replace(ALONE, mirror=share)) for share in (0.0, 0.5))
    ways = Counter[tuple[str, bool]]()
    for i in range(60):
        one, other = usual.draw(i), turned.draw(i)
        assert one.facts == other.facts
        same = np.array_equal(other.picture, one.picture)
        assert same or np.array_equal(other.picture, one.picture[:, ::-1])
        ways[one.facts.subject, same] += 1
    assert ways[STAR, False] == 0 < ways[STAR, True]
    assert min(ways[OWL, False], ways[OWL, True]) > 5


def test_each_of_several_is_mirrored_by_itself(tmp_path: Path) -> None:
    path = lopsided(tmp_path / "emoji.zip", {OWL: "animal-bird"})
    pairs = Scenes(path, replace(ALONE, mirror=0.5, counts=1.0))
    ways: set[tuple[bool, ...]] = set()
    for i in range(60):
        if pairs.facts(i).count == 2:
            quarters = np.split((pairs.draw(i).picture < 250).any(axis=2), 4, axis=1)
            ink = [int(quarter.sum()) for quarter in quarters]
            ways.add((ink[0] > ink[1], ink[2] > ink[3]))
    assert len(ways) == 4


def test_some_wander_with_their_margins_and_stay_in_the_picture(pack: Path) -> None:
    usual = inked(Scenes(pack, ALONE).cell(DOG, "flat"))
    scenes = Scenes(pack, replace(ALONE, wander=0.5))
    found = [inked(scenes.draw(i)) for i in range(200) if scenes.facts(i).subject == DOG]
    wandered = [box for box in found if box != usual]
    assert len(wandered) / len(found) == pytest.approx(0.5, abs=0.25)
    margin = usual[0] / usual[2]
    for left, top, wide, high in wandered:
        assert 0.76 * usual[2] <= wide <= usual[2] + 1
        assert abs(wide - high) <= 2
        room_on = (left, top, 128 - left - wide, 128 - top - high)
        assert min(room_on) >= margin * wide - 2
    assert len({box[:2] for box in wandered}) > 5


def test_who_has_a_said_size_does_not_wander(pack: Path) -> None:
    sized = replace(ALONE, small=0.5, big=0.5)
    usual, other = (Scenes(pack, replace(sized, wander=share)) for share in (0.0, 1.0))
    for i in range(30):
        assert np.array_equal(usual.draw(i).picture, other.draw(i).picture)


@pytest.fixture(scope="module")
def outdoors(pack: Path) -> Scenes:
    return Scenes(pack, SceneConfig(seed=3, backdrop=1.0))


def in_backdrops(scenes: Scenes, many: int = 1500) -> dict[int, Facts]:
    found = {i: scenes.facts(i) for i in range(many)}
    return {i: facts for i, facts in found.items() if facts.background in BACKDROPS}


def test_single_subjects_in_coloured_drawn_looks_stand_in_backdrops(outdoors: Scenes) -> None:
    found = in_backdrops(outdoors)
    assert {facts.background for facts in found.values()} == BACKDROPS.keys()
    assert len(found) > 300
    for facts in found.values():
        assert facts.style not in DERIVED
        assert facts.style not in BLACK
        assert (facts.count, facts.relation, facts.size) == (1, None, None)


def test_no_backdrop_is_chosen_that_the_drawing_does_not_stand_out_from(outdoors: Scenes) -> None:
    found = in_backdrops(outdoors)
    assert (GHOST, "snow") not in {(f.subject, f.background) for f in found.values()}
    assert any(f.subject == GHOST for f in found.values())
    assert "snow" not in outdoors.backdrops(Facts(GHOST, "flat"))
    assert "snow" in outdoors.backdrops(Facts(CAR, "flat"))
    assert outdoors.backdrops(Facts(CAR, "line art")) == []
    assert outdoors.backdrops(Facts(CAR, "neon")) == []


def test_each_backdrop_is_painted_anew_behind_the_same_drawing(outdoors: Scenes) -> None:
    for name in BACKDROPS:
        facts = Facts(CAR, "flat", background=name)
        one, again, other = (outdoors.show(facts, seed=seed).picture for seed in (1, 1, 2))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)
        assert np.array_equal(one[70, 64], other[70, 64])  # the car
        assert one[70, 64] == pytest.approx(COLOURS[CAR], abs=2)
    alike: dict[Facts, list[int]] = {}
    for i, facts in in_backdrops(outdoors).items():
        alike.setdefault(facts, []).append(i)
    one, other, *_ = max(alike.values(), key=len)
    assert not np.array_equal(outdoors.draw(one).picture, outdoors.draw(other).picture)


def test_what_is_in_a_backdrop_stands_on_its_floor(tmp_path: Path) -> None:
    """Where the drawings of two colours differ is where they are."""
    path = lopsided(tmp_path / "emoji.zip", {OWL: "animal-bird"})
    scenes = Scenes(path, replace(ALONE, backdrop=1.0))
    for i, facts in in_backdrops(scenes, 60).items():
        red = np.abs(scenes.draw(i).picture.astype(int) - (214, 30, 36)).max(axis=2) < 6
        rows, columns = (np.flatnonzero(red.sum(axis=axis) > 8) for axis in (1, 0))
        assert 0 < columns[0] < columns[-1] < 127
        assert 0.45 * 128 < columns[-1] - columns[0] < 0.78 * 128
        name = facts.background
        assert name is not None
        low = rows[-1] / 128
        assert 0.8 < low < 0.96 if BACKDROPS[name].floor else 0.65 < low < 0.95


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_the_first_scenes_are_drawn_in_their_order_by_any_number_of_processes(
    scenes: Scenes, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if workers and sys.platform == "win32":
        pytest.skip("Windows forks no processes")
    monkeypatch.setattr(room, "_AT_ONCE", 4)
    parts = list(drawn(scenes, 10, workers))
    assert [len(pictures) for pictures, _ in parts] == [4, 4, 2]
    examples = [scenes.draw(i) for i in range(10)]
    assert [facts for _, some in parts for facts in some] == [e.facts for e in examples]
    pictures = np.concatenate([pictures for pictures, _ in parts])
    assert np.array_equal(pictures, np.stack([e.picture for e in examples]))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="build the file first"):
        Scenes(tmp_path / "none.zip")
