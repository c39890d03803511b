"""The shelves: what lies in folders is found by name, by path and by sha256, and is never mixed."""

import json
import os
import threading
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from sfumato.catalog import CATALOG
from sfumato.errors import RequestError, WeightsError
from sfumato.shelves import Folder, Shelves, a1111, comfyui, hugging_face, own
from sfumato.weights.detect import inspect
from tests.shelves.files import EMBEDDING, LORA, SD15, VAE, of, sparse

ASSET = Path(str(resources.files("sfumato").joinpath("assets", str(CATALOG["mini"].asset))))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


# ---- what there is --------------------------------------------------------------------------


def test_without_folders_there_is_the_bundled_model() -> None:
    (mini,) = Shelves().items()
    assert (mini.name, mini.bundled, mini.role, mini.spec_name) == ("mini", True, "model", "mini")
    assert mini.defaults == CATALOG["mini"].defaults
    assert mini.path == ASSET


def test_each_file_is_told_for_what_it_holds_wherever_it_lies(root: Path) -> None:
    for name, shapes in (("a", SD15), ("b", VAE), ("c", LORA), ("d", EMBEDDING)):
        sparse(root / f"{name}.safetensors", shapes)
    shelves = Shelves([Folder(root)])
    roles = {item.name: item.role for item in shelves.items()}
    assert roles == {
        "mini": "model",
        "a.safetensors": "model",
        "b.safetensors": "vae",
        "c.safetensors": "lora",
        "d.safetensors": "embedding",
    }
    (fox,) = [item for item in shelves.items() if item.name == "a.safetensors"]
    assert (fox.family, fox.precision, fox.owner) == ("sd", "float16", "you")
    assert fox.bytes == (root / "a.safetensors").stat().st_size


def test_what_does_not_say_what_it_is_is_what_its_folder_is_for(root: Path) -> None:
    sparse(root / "embeddings" / "sad.safetensors", {"clip_g": (2, 1280), "clip_l": (2, 768)})
    (root / "embeddings" / "old.pt").write_bytes(b"\x80\x02]q\x00.")
    (root / "embeddings" / "older.bin").write_bytes(b"\x80\x02]q\x00.")
    shelves = Shelves(own(root))
    assert [item.name for item in shelves.items("embedding")] == [
        "old.pt",
        "older.bin",
        "sad.safetensors",
    ]
    assert [item.trouble is None for item in shelves.items("embedding")] == [False, False, True]


def test_the_layouts_of_other_programs_are_used_in_place(tmp_path: Path) -> None:
    web, nodes = tmp_path / "web", tmp_path / "nodes"
    sparse(web / "models/Stable-diffusion/fox.safetensors", SD15)
    sparse(web / "models/VAE/soft.safetensors", VAE)
    sparse(web / "embeddings/sad.safetensors", EMBEDDING)
    sparse(web / "models/Lora/line.safetensors", LORA)
    sparse(nodes / "models/checkpoints/owl.safetensors", SD15)
    sparse(nodes / "models/vae/sharp.safetensors", VAE)
    shelves = Shelves([*a1111(web), *comfyui(nodes)])
    found = [(item.name, item.role, item.owner) for item in shelves.items()[1:]]
    assert found == [
        ("fox.safetensors", "model", "A1111"),
        ("soft.safetensors", "vae", "A1111"),
        ("sad.safetensors", "embedding", "A1111"),
        ("line.safetensors", "lora", "A1111"),
        ("owl.safetensors", "model", "ComfyUI"),
        ("sharp.safetensors", "vae", "ComfyUI"),
    ]
    assert shelves.troubles == ()


def test_a_file_that_cannot_be_opened_is_there_with_its_trouble(root: Path) -> None:
    root.mkdir()
    (root / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (item,) = Shelves([Folder(root)]).items()[1:]
    assert item.role == "model"
    assert item.family == "unknown"
    assert item.trouble is not None
    assert "cut short" in item.trouble


def test_hidden_files_parts_of_folders_and_other_files_are_left_out(root: Path) -> None:
    sparse(root / ".hidden.safetensors", SD15)
    sparse(root / ".cache" / "a.safetensors", SD15)
    (root / "notes.txt").write_text("fox")
    (root / "loose.bin").write_bytes(b"x")
    sparse(root / "whole" / "unet" / "diffusion_pytorch_model.safetensors", {})
    (root / "whole" / "model_index.json").write_text("{}")
    sparse(root / "part" / "diffusion_pytorch_model.safetensors", VAE)
    (root / "part" / "config.json").write_text("{}")
    found = {item.name: item.role for item in Shelves([Folder(root)]).items()[1:]}
    assert found == {"part": "vae", "whole": "other"}


def test_a_folder_that_is_gone_is_told_unless_it_may_be_missing(tmp_path: Path) -> None:
    shelves = Shelves([Folder(tmp_path / "gone"), Folder(tmp_path / "never", optional=True)])
    assert len(shelves.items()) == 1
    (trouble,) = shelves.troubles
    assert str(tmp_path / "gone") in trouble


def test_a_folder_that_may_not_be_looked_into_is_told_and_the_rest_is_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = sparse(root / "closed" / "a.safetensors", SD15).parent
    sparse(root / "open" / "b.safetensors", SD15)
    scandir = os.scandir

    def guarded(path: str) -> object:  # as for a user who is not root
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    shelves = Shelves([Folder(root)])
    assert [item.name for item in shelves.items()[1:]] == ["open/b.safetensors"]
    assert shelves.troubles == (f"{closed} cannot be looked into: Permission denied",)


def test_links_are_followed_and_a_circle_of_them_has_an_end(root: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    sparse(disk / "fox.safetensors", SD15)
    root.mkdir()
    (root / "big").symlink_to(disk)
    (disk / "back").symlink_to(root)
    (root / "self.safetensors").symlink_to(root / "self.safetensors")
    (root / "dangling.safetensors").symlink_to(tmp_path / "nowhere.safetensors")
    items = {item.name: item for item in Shelves([Folder(root)]).items()[1:]}
    assert set(items) == {"big/fox.safetensors", "self.safetensors", "dangling.safetensors"}
    assert items["big/fox.safetensors"].trouble is None
    assert "cannot be read" in str(items["self.safetensors"].trouble)
    assert "cannot be read" in str(items["dangling.safetensors"].trouble)


def test_the_same_file_met_twice_is_one_and_two_of_one_name_are_two(tmp_path: Path) -> None:
    for folder in ("one", "two", "three/two"):
        sparse(tmp_path / folder / "fox.safetensors", SD15, mark=folder)
    (tmp_path / "one" / "again.safetensors").symlink_to(tmp_path / "two" / "fox.safetensors")
    shelves = Shelves([Folder(tmp_path / name) for name in ("one", "three/two", "two", "one")])
    names = {item.name: item.path.parent for item in shelves.items()[1:]}
    assert names == {
        "again.safetensors": tmp_path / "one",
        "fox.safetensors": tmp_path / "one",
        "two/fox.safetensors": tmp_path / "three" / "two",
    }


def test_a_single_file_may_stand_for_a_folder(root: Path) -> None:
    fox = sparse(root / "fox.safetensors", SD15)
    sparse(root / "owl.safetensors", SD15)
    assert [item.path for item in Shelves([Folder(fox)]).items()[1:]] == [fox]


def cached(cache: Path, name: str, commit: str, shapes: Any, file: str, mark: str = "") -> Path:
    """A file in the cache of huggingface_hub, as that program lays it out: a link to a blob."""
    repository = cache / f"models--{name.replace('/', '--')}"
    whole = sparse(repository / "blobs" / "new", shapes, mark)
    blob = whole.rename(repository / "blobs" / of(whole))
    place = repository / "snapshots" / commit / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(os.path.relpath(blob, place.parent))
    return place


def refer(cache: Path, name: str, ref: str, commit: str) -> None:
    place = cache / f"models--{name.replace('/', '--')}" / "refs" / ref
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(commit)


def test_the_hugging_face_cache_is_read_by_its_repositories_and_revisions(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    main, old = "a" * 40, "b" * 40
    single = cached(cache, "fox/art", main, SD15, "fox.safetensors")
    cached(cache, "fox/art", old, SD15, "fox.safetensors", mark="old")
    refer(cache, "fox/art", "main", main)
    refer(cache, "fox/art", "refs/pr/1", old)
    cached(cache, "owl/vae", main, VAE, "diffusion_pytorch_model.safetensors")
    config = cache / "models--owl--vae" / "snapshots" / main / "config.json"
    config.write_text("{}")
    refer(cache, "owl/vae", "main", main)
    cached(cache, "some/language-model", main, {"lm_head.weight": (4, 4)}, "model.safetensors")
    (cache / "datasets--some--set").mkdir()
    (cache / ".locks").mkdir()
    shelves = Shelves([hugging_face(cache)])
    found = {item.name: (item.role, item.owner) for item in shelves.items()[1:]}
    assert found == {
        "fox/art/fox.safetensors": ("model", "Hugging Face"),
        "fox/art@refs/pr/1/fox.safetensors": ("model", "Hugging Face"),
        "owl/vae": ("vae", "Hugging Face"),
    }
    # A big file lies there under its sha256, so nothing has to be read for it.
    assert shelves.find("fox/art/fox").sha256 == of(single)
    assert shelves.known_by(of(single)) == shelves.find("fox/art/fox")
    assert shelves.locate("owl/vae", "vae").name == "vae"
    assert shelves.locate(str(config.parent), "vae").name == "vae"


def test_a_diffusers_folder_in_the_cache_has_the_name_of_its_repository(tmp_path: Path) -> None:
    cache, main = tmp_path / "hub", "c" * 40
    for part in ("unet", "vae"):
        cached(cache, "fox/whole", main, VAE, f"{part}/diffusion_pytorch_model.safetensors")
    cached(cache, "fox/whole", main, SD15, "fox-v1.safetensors")
    (cache / "models--fox--whole" / "snapshots" / main / "model_index.json").write_text("{}")
    refer(cache, "fox/whole", "main", main)
    names = [item.name for item in Shelves([hugging_face(cache)]).items()[1:]]
    assert "fox/whole/fox-v1.safetensors" in names
    assert not any("unet" in name for name in names)


# ---- by name --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("mini", "mini"),
        ("fox.safetensors", "fox.safetensors"),
        ("FOX", "fox.safetensors"),
        ("sub/fox", "sub/fox.safetensors"),
        ("sub\\FOX.safetensors", "sub/fox.safetensors"),
        ("owl", "sub/Owl v2.1.ckpt"),
        ("owl v2.1", "sub/Owl v2.1.ckpt"),
        ("  fox.safetensors [0123456789] ", "fox.safetensors"),
    ],
)
def test_a_model_is_found_as_people_write_it(root: Path, words: str, name: str) -> None:
    for place in ("fox.safetensors", "sub/fox.safetensors", "sub/Owl v2.1.ckpt"):
        sparse(root / place, SD15, mark=place)
    shelves = Shelves([Folder(root)])
    assert shelves.find(words).name == name
    assert shelves.locate(words).path == shelves.find(words).path


def test_a_name_that_fits_several_is_refused_with_their_names(root: Path) -> None:
    for place in ("fox-1.safetensors", "fox-2.safetensors"):
        sparse(root / place, SD15, mark=place)
    with pytest.raises(RequestError, match=r"fits 2 models: fox-1\.safetensors, fox-2\.saf"):
        Shelves([Folder(root)]).find("fox")


def test_several_names_of_the_same_bytes_are_one_model(root: Path, tmp_path: Path) -> None:
    for place in ("fox-1.safetensors", "fox-2.safetensors"):
        sparse(root / place, SD15)
    shelves = Shelves([Folder(root)], hashes=tmp_path / "hashes.json")
    for item in shelves.items("model"):
        shelves.sha256(item)
    shelves.refresh()
    assert shelves.find("fox").name == "fox-1.safetensors"


def test_a_name_is_looked_for_among_what_has_the_role(root: Path) -> None:
    sparse(root / "models/Stable-diffusion/fox.safetensors", SD15)
    sparse(root / "models/VAE/fox.safetensors", VAE)
    sparse(root / "embeddings/fox.safetensors", EMBEDDING)
    shelves = Shelves(a1111(root))
    assert shelves.locate("fox").path == root / "models/Stable-diffusion/fox.safetensors"
    assert shelves.locate("fox", "vae").path == root / "models/VAE/fox.safetensors"
    assert shelves.locate("fox", "embedding").path == root / "embeddings/fox.safetensors"
    with pytest.raises(RequestError, match="There is no text encoder 'fox'"):
        shelves.locate("fox", "text_encoder")


def test_a_hash_or_ten_digits_of_it_is_a_name(root: Path, tmp_path: Path) -> None:
    fox = sparse(root / "fox.safetensors", SD15)
    shelves = Shelves([Folder(root)], hashes=tmp_path / "hashes.json")
    (item,) = [item for item in shelves.items() if item.path == fox]
    assert item.sha256 is None
    assert shelves.sha256(item) == of(fox)
    shelves.refresh()
    assert shelves.find(of(fox)[:10]).path == shelves.find(of(fox)).path == fox
    with pytest.raises(RequestError, match="There is no model"):
        shelves.find(of(fox)[:9])


@pytest.mark.parametrize(
    "words",
    ["", " ", "foxx", "../models/fox.safetensors", "/etc/passwd", "fox\0", "x" * 10_000, ".."],
)
def test_a_stranger_s_words_find_names_alone(root: Path, words: str) -> None:
    sparse(root / "fox.safetensors", SD15)
    with pytest.raises(RequestError, match="There is no model") as refused:
        Shelves([Folder(root)]).find(words)
    assert len(str(refused.value)) < 400


# ---- by path --------------------------------------------------------------------------------


def test_a_file_that_is_there_comes_before_a_name_and_a_name_before_a_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sparse(root / "fox.safetensors", SD15)
    shelves = Shelves([Folder(root)])
    (tmp_path / "fox").mkdir()
    assert shelves.locate("fox").path == root / "fox.safetensors"
    assert shelves.locate("./fox.safetensors").path == Path("fox.safetensors")
    assert shelves.locate("models").path == Path("models")
    sparse(tmp_path / "fox.safetensors", SD15)
    assert shelves.locate("fox.safetensors").path == Path("fox.safetensors")
    (tmp_path / "mini").write_bytes(b"")
    assert shelves.locate("mini").path == ASSET


def test_a_path_that_is_not_there_is_a_path_all_the_same() -> None:
    assert Shelves().locate("none/fox.safetensors").path == Path("none/fox.safetensors")
    with pytest.raises(RequestError, match=r"There is no model 'mimi'\. Did you mean mini"):
        Shelves().locate("mimi")


def test_a_path_that_no_system_takes_is_refused() -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        Shelves().locate("x" * 10_000)
    with pytest.raises(RequestError, match="There is no model"):
        Shelves().locate("fox\0.safetensors")


def test_a_kind_of_model_is_no_model_unless_a_file_is_named_so(root: Path) -> None:
    with pytest.raises(RequestError, match="Give the path"):
        Shelves().locate("sd15")
    sparse(root / "sub" / "sd15.safetensors", SD15)
    assert Shelves([Folder(root)]).locate("sd15").path == root / "sub" / "sd15.safetensors"


# ---- by sha256 ------------------------------------------------------------------------------


def test_what_was_read_once_is_known_by_its_sha256_under_any_name(
    root: Path, tmp_path: Path
) -> None:
    fox = sparse(root / "fox.safetensors", SD15)
    sparse(root / "owl.safetensors", SD15, mark="owl")
    cache = tmp_path / "hashes.json"
    shelves = Shelves([Folder(root)], hashes=cache)
    wanted = of(fox)
    assert shelves.known_by(wanted) is None
    assert shelves.unread("OWL")[0].name == "owl.safetensors"
    for item in shelves.unread():
        shelves.sha256(item)
    fox.rename(root / "renamed.safetensors")
    shelves.refresh()
    assert shelves.known_by(wanted) is None  # by another path it is another file, until it is read
    (renamed,) = [item for item in shelves.unread() if item.name == "renamed.safetensors"]
    assert shelves.sha256(renamed) == wanted
    shelves.refresh()
    found = shelves.known_by(wanted)
    assert found is not None
    assert found.path == root / "renamed.safetensors"


# ---- what is remembered ---------------------------------------------------------------------


def test_files_are_opened_once_and_again_only_when_they_change(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counted(path: Path) -> object:
        opened.append(path)
        return inspect(path)

    monkeypatch.setattr("sfumato.shelves.items.inspect", counted)
    fox, index = sparse(root / "fox.safetensors", SD15), tmp_path / "cache" / "index.json"
    before = Shelves([Folder(root)], index=index).items()
    assert len(opened) == 2
    assert Shelves([Folder(root)], index=index).items() == before
    assert len(opened) == 2
    sparse(fox, VAE)
    assert Shelves([Folder(root)], index=index).find("fox", "vae").role == "vae"
    assert opened[2:] == [fox]


def test_a_first_look_that_is_broken_off_is_gone_on_with(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        sparse(root / f"{name}.safetensors", SD15)
    opened: list[str] = []

    def counted(path: Path) -> object:
        if path.name == "b.safetensors" and path.name not in opened:
            opened.append(path.name)
            raise KeyboardInterrupt
        opened.append(path.name)
        return inspect(path)

    monkeypatch.setattr("sfumato.shelves.items.inspect", counted)
    with pytest.raises(KeyboardInterrupt):
        Shelves([Folder(root)], index=tmp_path / "index.json").items()
    before = opened.copy()
    assert len(Shelves([Folder(root)], index=tmp_path / "index.json").items()) == 4
    assert opened[len(before) :] == ["b.safetensors", "c.safetensors"]


@pytest.mark.parametrize("text", ["", "[]", '{"": 1}', "{"])
def test_a_damaged_index_costs_time_and_nothing_else(root: Path, tmp_path: Path, text: str) -> None:
    sparse(root / "fox.safetensors", SD15)
    index = tmp_path / "index.json"
    index.write_text(text)
    shelves = Shelves([Folder(root)], index=index)
    assert shelves.find("fox").spec_name == "sd15"
    assert Shelves([Folder(root)], index=index).items() == shelves.items()


def test_a_row_of_the_index_that_is_no_row_is_made_anew(root: Path, tmp_path: Path) -> None:
    fox, index = sparse(root / "fox.safetensors", SD15), tmp_path / "index.json"
    Shelves([Folder(root)], index=index).items()
    rows = json.loads(index.read_text())
    stamp = rows[str(fox)][0]
    for bad in (1, [], [stamp], [stamp, 7], [stamp, {}], [stamp, {"role": "x"}]):
        index.write_text(json.dumps(rows | {str(fox): bad}))
        assert Shelves([Folder(root)], index=index).find("fox").spec_name == "sd15", bad


def test_threads_look_into_the_folders_once(root: Path) -> None:
    sparse(root / "fox.safetensors", SD15)
    shelves = Shelves([Folder(root)])
    seen: list[object] = []
    threads = [threading.Thread(target=lambda: seen.append(shelves.items())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == seen[0] for each in seen)
    assert len(seen) == 4


def test_a_model_of_few_steps_has_its_own_defaults_also_when_it_is_remembered(
    root: Path, tmp_path: Path
) -> None:
    sparse(root / "fox_lcm.safetensors", SD15)
    sparse(root / "fox.safetensors", SD15)
    for _ in range(2):  # the second time from the index
        shelves = Shelves([Folder(root)], index=tmp_path / "index.json")
        quick, usual = (shelves.find(name).defaults for name in ("fox_lcm", "fox"))
        assert quick is not None
        assert (quick.steps, quick.guidance, quick.sampler) == (4, 1, "lcm")
        assert usual == CATALOG["sd15"].defaults
