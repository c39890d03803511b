"""Builds the one packed file that our own model learns from, out of published npm packages.

`data/emoji.zip` holds `index.json` and `<style>/<code point>.webp`: 128 x 128 RGBA pictures, each
drawing cropped to what is visible, scaled to the same margin and centred. Eight looks of one
subject are joined by code point, as every package names its drawings after Unicode. The
packages come from the ordinary npm client and must match the sha256 pinned here.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import tarfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast

from PIL import Image

from sfumato.errors import SfumatoError

SIZE = 128
MARGIN = 0.07  # of the side, left free around the longer side of every drawing
_RENDER = 256  # drawings are rendered at twice the size, then scaled down once
_VISIBLE = 12  # alpha (of 255) below which a pixel does not count for the crop


class SourcesError(SfumatoError):
    """The pictures cannot be had or are not the ones expected; the message says what to do."""


@dataclass(frozen=True)
class Package:
    """One pinned npm package and what it gives; `style` is None for word lists."""

    style: str | None
    npm: str
    version: str
    sha256: str
    licence: str
    author: str

    @property
    def file(self) -> str:
        """The name that `npm pack` gives the downloaded file."""
        return f"{self.npm.lstrip('@').replace('/', '-')}-{self.version}.tgz"


# Components, symbols that are mere signs, flags.
_LEFT_GROUPS = frozenset({"component", "symbols", "flags"})
# Weapons, cigarettes, rude gestures: not wanted in what the model can draw.
LEFT_OUT = frozenset({"1f52b", "1f5e1", "2694", "1f4a3", "1f6ac", "1f595", "1faef"})

_HYPERNYMS: Mapping[str, str] = {
    "animal-bird": "bird",
    "animal-bug": "insect",
    "plant-flower": "flower",
    "plant-other": "plant",
    "food-fruit": "fruit",
    "food-vegetable": "vegetable",
    "food-sweet": "dessert",
    "drink": "drink",
    "place-building": "building",
    "musical-instrument": "musical instrument",
    "clothing": "clothing",
    "tool": "tool",
}
_HYPERNYM_STEMS: Mapping[str, str] = {
    "face": "face",
    "cat": "cat",
    "animal": "animal",
    "food": "food",
}


def packages() -> list[Package]:
    """Every package that the pictures and their names come from, pinned."""
    return [Package(**row) for row in json.loads(_own("packages.json"))]


def _own(name: str) -> str:
    """A table that is part of this package."""
    return resources.files("sfumato.train").joinpath(f"data/{name}").read_text("utf-8")


@dataclass(frozen=True)
class BuildReport:
    """What a build made: counts, size in bytes, wall time in seconds, sha256 of the file."""

    path: Path
    subjects: int
    pictures: int
    size: int
    seconds: float
    sha256: str
    styles: Mapping[str, int]


def code_of(text: str) -> str:
    """Our key of a subject: code points in small hex joined by '-', without U+FE0F."""
    return "-".join(part for part in text.lower().split("-") if part != "fe0f")


def focus_codes() -> list[str]:
    """Code points of the focus subjects, in the order of the list."""
    return list(json.loads(_own("subjects.json")))


def fetch(package: Package, cache: Path) -> Path:
    """The package's file in `cache`, downloaded by `npm pack` if it is not there yet.

    Raises SourcesError if npm is missing or fails, or if the file is not the pinned one.
    """
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / package.file
    name = f"{package.npm}@{package.version}"
    if not path.exists():
        try:
            done = subprocess.run(
                ["npm", "pack", "--silent", name],
                cwd=cache,
                capture_output=True,
                text=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise SourcesError(
                f"The pictures come as npm packages, and there is no npm client to fetch {name}.\n"
                f"  Install Node.js with npm, or put {package.file} into {cache}."
            ) from error
        if done.returncode != 0 or not path.exists():
            said = done.stderr.strip()[-500:] or done.stdout.strip()[-500:] or "nothing"
            raise SourcesError(
                f"npm pack {name} failed with code {done.returncode} and said: {said}\n"
                f"  Check the network and the npm settings, or put {package.file} into {cache}."
            )
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != package.sha256:
        raise SourcesError(
            f"{path.name} is not the file that sfumato was made with.\n"
            f"  sha256: got {got}, expected {package.sha256}\n"
            f"  Delete {path} and try again; if it comes back the same, the package has changed."
        )
    return path


Draw = Callable[[], Image.Image]  # renders one drawing, when asked


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise SourcesError(f"{archive.name} has no file {name}; the package is not as expected.")
    return file.read()


def _load(path: Path, name: str) -> dict[str, Any]:
    with tarfile.open(path) as archive:
        return cast(dict[str, Any], json.loads(_member(archive, f"package/{name}")))


def _svg_draw(body: str, width: int, height: int) -> Draw:
    try:
        import resvg_py
    except ImportError as error:
        raise SourcesError(
            "The drawings are rendered by resvg, which is not installed.\n"
            "  pip install 'sfumato[data]'"
        ) from error

    def draw() -> Image.Image:
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">{body}</svg>'
        )
        png = resvg_py.svg_to_bytes(
            svg_string=svg,
            skip_system_fonts=True,
            width=_RENDER if width >= height else None,
            height=None if width >= height else _RENDER,
        )
        return Image.open(io.BytesIO(bytes(png))).convert("RGBA")

    return draw


def _webp_draw(data: bytes) -> Draw:
    return lambda: Image.open(io.BytesIO(data)).convert("RGBA")


def _iconify(path: Path, names: Mapping[str, str]) -> dict[str, Draw]:
    """Drawings of an Iconify set; `names` gives code points where the set itself does not."""
    icons = _load(path, "icons.json")
    chars = _load(path, "chars.json")
    codes = {code_of(code): name for code, name in (chars or names).items()}
    wide, high = int(icons.get("width", 16)), int(icons.get("height", 16))
    draws: dict[str, Draw] = {}
    for code, name in codes.items():
        icon = icons["icons"].get(name)
        if icon is not None:
            draws[code] = _svg_draw(
                icon["body"], int(icon.get("width", wide)), int(icon.get("height", high))
            )
    return draws


def _pictures(path: Path, keep: Iterable[str]) -> dict[str, Draw]:
    """The 3D pictures, only of subjects that are also in the maker's own vector sets."""
    wanted = set(keep)
    draws: dict[str, Draw] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            code = code_of(Path(member.name).stem)
            if member.name.endswith(".webp") and code in wanted:
                draws[code] = _webp_draw(_member(archive, member.name))
    return draws


def _drawings(paths: Mapping[str, Path]) -> dict[str, dict[str, Draw]]:
    """Every style's drawings. Three Iconify sets carry no code points: names join them."""
    names: dict[str, str] = {}
    for style in ("twemoji", "cartoon"):
        path = paths["sticker" if style == "twemoji" else style]
        names.update({code_of(code): name for code, name in _load(path, "chars.json").items()})
    fluent: dict[str, str] = {}
    for style in ("line art", "flat"):
        chars = _load(paths[style], "chars.json")
        fluent.update({code_of(code): name for code, name in chars.items()})
    found = {
        style: _iconify(paths[style], fluent) for style in ("gradient", "flat", "line art")
    } | {style: _iconify(paths[style], names) for style in ("cartoon", "blob", "sticker", "soft")}
    keep = [code for style in ("gradient", "flat", "line art") for code in found[style]]
    return {"3d": _pictures(paths["3d"], keep), **found}


def fit(picture: Image.Image) -> Image.Image | None:
    """Crop to what is visible, scale to the common margin, centre: (128, 128) RGBA.

    None if nothing is visible.
    """
    alpha = picture.getchannel("A").point([255 * (a >= _VISIBLE) for a in range(256)])
    box = alpha.getbbox()
    if box is None:
        return None
    cut = picture.crop(box)
    room = SIZE * (1 - 2 * MARGIN)
    scale = room / max(cut.size)
    wide, high = (max(1, round(side * scale)) for side in cut.size)
    cut = cut.resize((wide, high), Image.Resampling.LANCZOS)
    canvas = Image.new("RGBA", (SIZE, SIZE))
    canvas.paste(cut, ((SIZE - wide) // 2, (SIZE - high) // 2))
    return canvas


def _hypernym(subgroup: str) -> str | None:
    return _HYPERNYMS.get(subgroup, _HYPERNYM_STEMS.get(subgroup.split("-")[0]))


def _subjects(base: Path, words: Path) -> dict[str, dict[str, Any]]:
    """Facts about every wanted subject by code point, in Unicode's order."""
    entries = cast(list[dict[str, Any]], _load(base, "en/data.json"))
    meta = _load(base, "meta/groups.json")
    more = {
        code_of("-".join(f"{ord(c):x}" for c in char)): tags
        for char, tags in _load(words, "dist/emoji-en-US.json").items()
    }
    subjects: dict[str, dict[str, Any]] = {}
    known = [entry for entry in entries if "group" in entry]
    for entry in sorted(known, key=lambda entry: entry["order"]):
        code, group = code_of(entry["hexcode"]), meta["groups"][str(entry["group"])]
        if group in _LEFT_GROUPS or code in LEFT_OUT:
            continue
        subgroup, label = meta["subgroups"][str(entry["subgroup"])], entry["label"]
        tags = [tag.replace("_", " ") for tag in (*entry.get("tags", ()), *more.get(code, ()))]
        subjects[code] = {
            "label": label,
            "group": group,
            "subgroup": subgroup,
            "keywords": sorted({tag for tag in tags if tag != label}),
            "sure": sorted(set(entry.get("tags", ())) & set(more.get(code, ())) - {label}),
            "hypernym": _hypernym(subgroup),
        }
    rare = Counter(word for subject in subjects.values() for word in subject["keywords"])
    for subject in subjects.values():  # named by both word lists, and for three subjects at most
        subject["synonyms"] = [word for word in subject.pop("sure") if rare[word] <= 3]
    return subjects


def _encode(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=90, alpha_quality=100, method=4)
    return out.getvalue()


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    # A fixed date, so that the same packages give the same file, byte for byte.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def build(
    out: Path,
    cache: Path,
    *,
    focus_only: bool = False,
    pinned: Sequence[Package] | None = None,
) -> BuildReport:
    """Make the packed file `out`, focus subjects first; packages are kept in `cache`.

    `pinned` are the packages to build from, those of `packages()` by default. The same packages
    give the same file, byte for byte. Raises SourcesError if a package cannot be had or is not
    the pinned one.
    """
    start = time.monotonic()
    pinned = packages() if pinned is None else pinned
    paths = {package.style or package.npm: fetch(package, cache) for package in pinned}
    subjects = _subjects(paths["emojibase-data"], paths["emojilib"])
    drawings = _drawings(paths)
    focus = [code for code in focus_codes() if code in subjects]
    codes = focus if focus_only else [*focus, *(c for c in subjects if c not in set(focus))]
    index: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
        for code in codes:
            styles: list[str] = []
            for style, found in drawings.items():
                draw = found.get(code)
                picture = None if draw is None else fit(draw())
                if picture is not None:
                    _write(archive, f"{style}/{code}.webp", _encode(picture))
                    styles.append(style)
            if styles:
                index[code] = {"code": code, **subjects[code], "styles": styles}
                counts.update(styles)
        sources = [asdict(package) for package in pinned]
        text = json.dumps({"size": SIZE, "sources": sources, "subjects": index}, indent=0)
        _write(archive, "index.json", text.encode())
    part.replace(out)
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    return BuildReport(
        path=out,
        subjects=len(index),
        pictures=counts.total(),
        size=out.stat().st_size,
        seconds=time.monotonic() - start,
        sha256=digest,
        styles=dict(counts),
    )


def main() -> None:
    """`python -m sfumato.train.sources OUT --cache DIR [--focus]`."""
    parser = argparse.ArgumentParser(description="Build the packed training pictures.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--focus", action="store_true", help="only the focus subjects")
    options = parser.parse_args()
    build(options.out, options.cache, focus_only=options.focus)


if __name__ == "__main__":
    main()
