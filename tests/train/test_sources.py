"""The packed file of training pictures: what goes in, what stays out, what is refused."""

import hashlib
import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sfumato.train import sources
from sfumato.train.sources import Package, SourcesError, build, code_of, fetch, fit

APPLE, STAR, ROBOT, FLAG, DAGGER = "1f34e", "2b50", "1f916", "1f1eb-1f1ee", "1f5e1"


def tarball(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def iconify(chars: dict[str, str], names: list[str]) -> dict[str, bytes]:
    body = '<rect x="4" y="8" width="24" height="12" fill="#d22"/>'
    icons = {"width": 32, "height": 32, "icons": {name: {"body": body} for name in names}}
    return {"icons.json": json.dumps(icons).encode(), "chars.json": json.dumps(chars).encode()}


def webp(colour: tuple[int, int, int, int] = (200, 30, 30, 255)) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA", (32, 32), colour).save(out, "WEBP", lossless=True)
    return out.getvalue()


def entry(code: str, label: str, group: int, order: int) -> dict[str, object]:
    return {
        "label": label,
        "hexcode": code.upper(),
        "group": group,
        "subgroup": group,
        "order": order,
        "tags": ["shiny", label],
        "skins": [{"hexcode": f"{code}-1F3FB".upper()}],
    }


@pytest.fixture
def pinned(tmp_path: Path) -> list[Package]:
    """Ten tiny packages in tmp_path/cache, laid out like the real ones."""
    chars = {APPLE: "red-apple", "2b50-fe0f": "star", FLAG: "flag", DAGGER: "dagger"}
    names = list(chars.values())
    fluent = iconify(chars, names)
    base = [
        entry(APPLE, "red apple", 0, 3),
        entry(STAR, "star", 0, 2),
        entry(DAGGER, "dagger", 0, 4),
        entry(FLAG, "flag", 1, 1),
    ]
    meta = {
        "groups": {"0": "objects", "1": "flags"},
        "subgroups": {"0": "food-fruit", "1": "flag"},
    }
    contents = {
        "3d": {f"assets/{c}.webp": webp() for c in (APPLE, "2b50-fe0f", ROBOT)},
        "gradient": iconify({}, ["red-apple"]),
        "flat": fluent,
        "line art": iconify(chars, ["star"]),
        "cartoon": fluent,
        "blob": iconify({}, ["star"]),
        "sticker": fluent,
        "soft": iconify({}, []),
        "emojibase-data": {
            "en/data.json": json.dumps(base).encode(),
            "meta/groups.json": json.dumps(meta).encode(),
        },
        "emojilib": {"dist/emoji-en-US.json": json.dumps({"⭐": ["star", "shiny"]}).encode()},
    }
    cache = tmp_path / "cache"
    cache.mkdir()
    made: list[Package] = []
    for name, files in contents.items():
        style = None if name.startswith("emoji") else name
        npm = name.replace(" ", "-")
        path = cache / f"{npm}-1.0.0.tgz"
        tarball(path, files)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Package(style, npm, "1.0.0", digest, "MIT", "nobody"))
    return made


def read_index(path: Path) -> dict[str, dict[str, object]]:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("index.json"))["subjects"]


def test_drawings_are_joined_by_code_point_even_where_a_set_has_only_names(
    tmp_path: Path, pinned: list[Package]
) -> None:
    report = build(tmp_path / "out.zip", tmp_path / "cache", pinned=pinned)
    index = read_index(report.path)
    assert index[APPLE]["styles"] == ["3d", "gradient", "flat", "cartoon", "sticker"]
    assert index[STAR]["styles"] == ["3d", "flat", "line art", "cartoon", "blob", "sticker"]
    assert report.pictures == 11
    with zipfile.ZipFile(report.path) as archive:
        assert all(item.compress_type == zipfile.ZIP_STORED for item in archive.infolist())
        assert Image.open(archive.open(f"flat/{APPLE}.webp")).size == (128, 128)


def test_flags_and_weapons_stay_out_and_so_does_3d_that_its_maker_never_drew(
    tmp_path: Path, pinned: list[Package]
) -> None:
    index = read_index(build(tmp_path / "out.zip", tmp_path / "cache", pinned=pinned).path)
    assert set(index) == {APPLE, STAR}


def test_index_tells_labels_groups_and_only_synonyms_that_both_lists_know(
    tmp_path: Path, pinned: list[Package]
) -> None:
    index = read_index(build(tmp_path / "out.zip", tmp_path / "cache", pinned=pinned).path)
    assert index[STAR]["label"] == "star"
    assert index[STAR]["synonyms"] == ["shiny"]
    assert index[APPLE]["synonyms"] == []
    assert index[APPLE]["hypernym"] == "fruit"


def test_the_same_packages_give_the_same_bytes(tmp_path: Path, pinned: list[Package]) -> None:
    one = build(tmp_path / "one.zip", tmp_path / "cache", pinned=pinned)
    two = build(tmp_path / "two.zip", tmp_path / "cache", pinned=pinned)
    assert one.sha256 == two.sha256


def test_a_file_that_is_not_the_pinned_one_is_refused(
    tmp_path: Path, pinned: list[Package]
) -> None:
    path = tmp_path / "cache" / pinned[3].file
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(SourcesError, match=r"(?s)not the file.*got [0-9a-f]{64}, expected"):
        build(tmp_path / "out.zip", tmp_path / "cache", pinned=pinned)
    assert not (tmp_path / "out.zip").exists()


def test_without_an_npm_client_the_message_says_what_to_install(
    tmp_path: Path, pinned: list[Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourcesError, match=r"(?s)no npm client.*Install Node\.js"):
        fetch(pinned[0], tmp_path / "empty")


def test_what_a_failing_npm_client_says_is_handed_on(
    tmp_path: Path, pinned: list[Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no such package >&2\nexit 3\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SourcesError, match="failed with code 3 and said: no such package"):
        fetch(pinned[0], tmp_path / "empty")


def test_a_package_is_fetched_by_npm_pack_once(
    tmp_path: Path, pinned: list[Package], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, log = tmp_path / "cache" / pinned[0].file, tmp_path / "log"
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\necho "$@" >> {log}\ncp {source} .\n')
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for _ in range(2):
        assert fetch(pinned[0], tmp_path / "new").read_bytes() == source.read_bytes()
    assert log.read_text() == "pack --silent 3d@1.0.0\n"


def test_a_drawing_fills_the_picture_up_to_the_margin_and_stands_in_the_middle() -> None:
    drawing = Image.new("RGBA", (256, 256))
    drawing.paste((10, 20, 30, 255), (10, 30, 110, 80))  # 100 x 50, off centre
    fitted = fit(drawing)
    assert fitted is not None
    left, top, right, bottom = fitted.getchannel("A").getbbox() or (0, 0, 0, 0)
    assert (right - left, bottom - top) == (110, 55)
    assert abs((left + right) / 2 - 64) <= 0.5
    assert abs((top + bottom) / 2 - 64) <= 0.5


def test_an_empty_drawing_is_left_out() -> None:
    assert fit(Image.new("RGBA", (64, 64))) is None


def test_colour_does_not_bleed_into_the_edge() -> None:
    drawing = Image.new("RGBA", (256, 256), (0, 0, 0, 0))  # black, but clear
    drawing.paste((255, 255, 255, 255), (30, 30, 200, 200))
    fitted = fit(drawing)
    assert fitted is not None
    pixels = np.asarray(fitted)
    assert pixels[pixels[..., 3] > 0][:, :3].min() == 255


@pytest.mark.parametrize(
    ("name", "code"), [("2B50-FE0F", "2b50"), ("1F441-FE0F-200D-1F5E8-FE0F", "1f441-200d-1f5e8")]
)
def test_codes_are_small_hex_without_the_variation_mark(name: str, code: str) -> None:
    assert code_of(name) == code


def test_every_pinned_package_has_a_digest_a_licence_and_an_author() -> None:
    table = sources.packages()
    styles = [package.style for package in table if package.style is not None]
    assert len(styles) == len(set(styles)) == 8
    assert all(
        len(package.sha256) == 64 and package.licence and package.author for package in table
    )
    assert {package.licence for package in table} <= {"MIT", "Apache-2.0", "CC BY 4.0"}
