"""Pictures with captions are taken whole, and every fault is named before anything is trained."""

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.errors import RequestError
from sfumato.train.new import objection
from sfumato.train.own import Captioned, Lines, gather
from tests.train import tiny

SIZE = 32


def write(folder: Path, count: int = 6) -> Path:
    """Discs with captions, the first in a folder of its own."""
    (folder / "sub").mkdir(parents=True)
    for i, picture in enumerate(tiny.pictures(count, side=40)):
        path = folder / ("sub" if i == 0 else ".") / f"disc-{i}.png"
        Image.fromarray(picture).save(path)
        path.with_suffix(".txt").write_text(f"a disc {i}\n\n  disc number {i} \n")
    return folder


def taken(data: Path, shape: str | None = None) -> Captioned:
    return gather(data, SIZE, shape, objection())


def refused(data: Path, shape: str | None = None) -> str:
    with pytest.raises(RequestError) as told:
        taken(data, shape)
    return str(told.value)


def test_every_picture_comes_with_the_lines_beside_it(tmp_path: Path) -> None:
    made = taken(write(tmp_path / "data"))
    assert made.pictures.shape == (6, SIZE, SIZE, 3)
    assert made.captions[0] == ("a disc 1", "disc number 1")  # in the order of names
    assert made.captions[-1] == ("a disc 0", "disc number 0")
    want = Image.fromarray(tiny.pictures(6, side=40)[1]).resize((SIZE, SIZE), 1)
    np.testing.assert_array_equal(made.pictures[0], np.asarray(want))


def test_a_tar_gives_the_same_pictures_and_captions(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    with tarfile.open(tmp_path / "data.tar", "w") as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
    whole, packed = taken(folder), taken(tmp_path / "data.tar")
    np.testing.assert_array_equal(packed.pictures, whole.pictures)
    assert packed.captions == whole.captions


@pytest.mark.parametrize("change", ["caption", "pixels", "name"])
def test_other_data_have_another_digest(change: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    before = taken(folder).digest
    assert taken(folder).digest == before
    if change == "caption":
        (folder / "disc-3.txt").write_text("a ring")
    elif change == "pixels":
        Image.new("RGB", (40, 40), "red").save(folder / "disc-3.png")
    else:
        for kind in ("png", "txt"):
            (folder / f"disc-3.{kind}").rename(folder / f"disk-3.{kind}")
    assert taken(folder).digest != before


def test_what_lets_light_through_lies_on_white(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    Image.new("RGBA", (40, 40), (255, 0, 0, 0)).save(folder / "disc-3.png")
    assert (taken(folder).pictures[2] == 255).all()


def test_no_square_is_cut_or_padded_as_asked_and_else_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    wide = np.zeros((40, 80, 3), np.uint8)
    Image.fromarray(wide).save(folder / "disc-3.png")
    said = refused(folder)
    assert "disc-3.png: has 80x40 pixels and is no square; ask for --shape crop or pad" in said
    assert (taken(folder, "crop").pictures[2] == 0).all()
    padded = taken(folder, "pad").pictures[2]
    assert (padded[0] == 255).all()
    assert (padded[SIZE // 2] == 0).all()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("broken", "disc-2.png: it is not a PNG"),
        ("cut", "disc-2.png: "),
        ("silent", "disc-2.png: has no caption"),
        ("empty", "disc-2.png: its caption is empty"),
        ("latin", "disc-2.png: its caption is no UTF-8 text"),
        ("small", "disc-2.png: has 16x16 pixels; at least 32 each way are needed"),
        ("long", "disc-2.png: its caption has 40 word pieces, and 22 are read"),
        ("strange", "disc-2.png: its caption holds what the model cannot read: 犬"),
    ],
)
def test_a_fault_is_named_with_its_file(harm: str, said: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    picture, caption = folder / "disc-2.png", folder / "disc-2.txt"
    if harm == "broken":
        picture.write_bytes(b"no picture at all")
    elif harm == "cut":
        picture.write_bytes(picture.read_bytes()[:60])
    elif harm == "silent":
        caption.unlink()
    elif harm == "latin":
        caption.write_bytes("ein großer Hund".encode("latin-1"))
    elif harm == "small":
        Image.new("RGB", (16, 16)).save(picture)
    else:
        caption.write_text({"empty": " \n", "long": "dog " * 40, "strange": "a 犬"}[harm])
    told = refused(folder)
    assert said in told
    assert told.startswith("1 of the 6 files")
    assert "nothing was trained yet" in told


def test_of_many_faults_a_few_are_named_and_all_counted(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", 9)
    for path in folder.rglob("*.txt"):
        path.unlink()
    said = refused(folder)
    assert said.startswith("9 of the 9 files")
    assert "and 4 more" in said


def test_a_tar_cut_short_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(folder / "disc-1.png", "a.png")
    (folder / "part.tar").write_bytes(whole.getvalue()[:900])
    assert "part.tar: no whole tar archive" in refused(folder)


def test_an_empty_folder_and_none_at_all_are_refused(tmp_path: Path) -> None:
    assert "holds 0 pictures with captions" in refused(tmp_path)
    assert "There is nothing at" in refused(tmp_path / "none")


def test_captions_that_are_all_alike_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "data")
    for path in folder.rglob("*.txt"):
        path.write_text("a disc")
    assert "have the same caption, 'a disc'" in refused(folder)


def test_one_picture_in_twenty_is_held_back_and_one_at_the_least(tmp_path: Path) -> None:
    made = taken(write(tmp_path / "data"))
    assert made.held() == [0]
    many = Captioned(made.pictures, made.captions * 10, "")
    assert many.held() == [0, 20, 40]


def test_a_line_is_drawn_anew_each_time_and_left_out_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    drawn = [Lines().said(("one", "two"), rng, 0.25) for _ in range(2000)]
    shares = [drawn.count(line) / len(drawn) for line in ("one", "two", "")]
    assert shares == pytest.approx([0.375, 0.375, 0.25], abs=0.04)
    assert Lines().plain(("one", "two")) == "one"
