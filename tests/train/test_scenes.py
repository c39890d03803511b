"""Scenes: the same number gives the same picture, facts are true, held drawings never appear."""

import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sfumato.train.captions import Facts
from sfumato.train.drawings import held_cells
from sfumato.train.scenes import GROUNDS, SceneConfig, Scenes
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


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourcesError, match="build the file first"):
        Scenes(tmp_path / "none.zip")
