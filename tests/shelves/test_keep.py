"""A model comes into our own folder whole or not at all, and goes out of it the same way."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sfumato.errors import OutputError, RequestError, WeightsError
from sfumato.shelves import Folder, Shelves, hugging_face, keep, own
from sfumato.shelves.keep import add, remove
from sfumato.weights.hashes import remembered
from tests.shelves.files import EMBEDDING, LORA, SD15, VAE, of, sparse


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ours"


def visible(root: Path) -> list[str]:
    """What `sfumato models` would show."""
    return [item.name for item in Shelves(own(root)).items()[1:]]


@pytest.mark.parametrize(
    ("shapes", "place"),
    [(SD15, "checkpoints"), (VAE, "vae"), (LORA, "loras"), (EMBEDDING, "embeddings")],
)
def test_a_file_goes_where_what_it_holds_belongs(
    tmp_path: Path, root: Path, shapes: Any, place: str
) -> None:
    source, told = sparse(tmp_path / "fox.safetensors", shapes), list[tuple[int, int]]()
    hashes = tmp_path / "hashes.json"
    done = add(source, root, hashes=hashes, tell=lambda d, t: told.append((d, t)))
    assert done.path == root / place / "fox.safetensors"
    assert done.new
    assert of(done.path) == of(source)
    assert told[-1] == (source.stat().st_size, source.stat().st_size)
    assert remembered(done.path, hashes) == of(source)
    assert visible(root) == ["fox.safetensors"]
    assert [p.name for p in done.path.parent.iterdir()] == ["fox.safetensors"]


def test_the_same_again_changes_nothing_and_another_of_its_name_is_refused(
    tmp_path: Path, root: Path
) -> None:
    first = add(sparse(tmp_path / "fox.safetensors", SD15), root).path
    before = first.stat()
    again = add(sparse(tmp_path / "again" / "fox.safetensors", SD15), root)
    assert not again.new
    assert first.stat() == before
    with pytest.raises(RequestError, match="is there, and is another"):
        add(sparse(tmp_path / "other" / "fox.safetensors", SD15, mark="other"), root)
    assert first.stat() == before


def test_a_link_leaves_the_file_where_it_is_and_removing_it_does_too(
    tmp_path: Path, root: Path
) -> None:
    source = sparse(tmp_path / "fox.safetensors", SD15)
    path = add(source, root, link=True).path
    assert path.readlink() == source
    (item,) = Shelves(own(root)).items()[1:]
    remove(item, root)
    assert source.exists()
    assert visible(root) == []


def test_a_folder_comes_in_whole_without_its_hidden_files(tmp_path: Path, root: Path) -> None:
    source = tmp_path / "soft"
    sparse(source / "diffusion_pytorch_model.safetensors", VAE)
    (source / "config.json").write_text("{}")
    (source / ".git").mkdir()
    (source / ".git" / "config").write_text("")
    path = add(source, root).path
    assert path == root / "vae" / "soft"
    assert sorted(p.name for p in path.iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    (item,) = Shelves(own(root)).items()[1:]
    remove(item, root)
    assert list((root / "vae").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.safetensors", None, "No model file"),
        ("note.safetensors", b"hello", "is corrupt"),
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "cut short"),
    ],
)
def test_what_is_no_model_is_refused_and_nothing_is_made(
    tmp_path: Path, root: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=told):
        add(tmp_path / name, root)
    assert not root.exists()


def test_what_no_header_tells_needs_a_word_and_what_one_tells_needs_none(
    tmp_path: Path, root: Path
) -> None:
    odd = sparse(tmp_path / "odd.safetensors", {"clip_g": (2, 1280), "clip_l": (2, 768)})
    with pytest.raises(RequestError, match="--as"):
        add(odd, root)
    assert add(odd, root, role="embedding").path.parent.name == "embeddings"
    with pytest.raises(RequestError, match=r"a LoRA.*and no vae"):
        add(sparse(tmp_path / "line.safetensors", LORA), root, role="vae")


@pytest.mark.parametrize("name", [".fox.safetensors", "a\nb.safetensors", "fox.dat"])
def test_a_name_that_would_not_be_found_again_is_refused(
    tmp_path: Path, root: Path, name: str
) -> None:
    with pytest.raises(RequestError, match="rename it first"):
        add(sparse(tmp_path / name, SD15), root)


def test_a_full_disk_is_told_before_and_in_the_middle_and_leaves_nothing(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sparse(tmp_path / "fox.safetensors", SD15)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))
        with pytest.raises(OutputError, match=r"needs 0\.00 GB .* Make room"):
            add(source, root)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="no space left on device"):
            add(source, root)
    assert list((root / "checkpoints").iterdir()) == []
    assert add(source, root).new


def test_a_file_that_changes_while_it_is_copied_does_not_come_in(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sync = sparse(tmp_path / "fox.safetensors", SD15), os.fsync

    def meanwhile(number: int) -> None:
        sync(number)
        sparse(source, SD15, mark="more")

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(WeightsError, match="changed while it was copied"):
        add(source, root)
    assert visible(root) == []


def test_what_reads_differently_from_what_was_written_does_not_come_in(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sparse(tmp_path / "fox.safetensors", SD15)
    monkeypatch.setattr(keep, "sha256", lambda path: "0" * 64)
    with pytest.raises(OutputError, match="reads differently"):
        add(source, root)
    assert visible(root) == []


VICTIM = """
import os, signal, sys
from pathlib import Path
from sfumato.shelves import keep
keep.CHUNK = 2**16

def tell(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

keep.add(Path(sys.argv[1]), Path(sys.argv[2]), tell=tell)
"""


def test_a_copy_that_was_killed_is_not_seen_and_goes_on_where_it_stopped(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sparse(tmp_path / "fox.safetensors", SD15)
    done = subprocess.run((sys.executable, "-c", VICTIM, str(source), str(root)), check=False)
    assert done.returncode == -signal.SIGKILL
    (part,) = (root / "checkpoints").iterdir()
    assert part.name == ".fox.safetensors.part"
    assert part.stat().st_size > 0
    assert visible(root) == []
    monkeypatch.setattr(keep, "CHUNK", 2**16)
    number = part.stat().st_ino
    path = add(source, root).path
    assert path.stat().st_ino == number  # the very file that was begun
    assert of(path) == of(source)
    assert [p.name for p in path.parent.iterdir()] == ["fox.safetensors"]


def test_what_an_earlier_copy_left_is_not_believed(tmp_path: Path, root: Path) -> None:
    source = sparse(tmp_path / "fox.safetensors", SD15)
    part = root / "checkpoints" / ".fox.safetensors.part"
    part.parent.mkdir(parents=True)
    for left in (b"x" * 100, source.read_bytes()[:1000] + b"x" * 10**7):
        part.write_bytes(left)
        path = add(source, root).path
        assert of(path) == of(source)
        path.unlink()


def test_of_another_folder_s_broken_copy_nothing_comes_in(tmp_path: Path, root: Path) -> None:
    source = tmp_path / "soft"
    sparse(source / "diffusion_pytorch_model.safetensors", VAE)
    left = root / "vae" / ".soft.part"
    (left / "old").mkdir(parents=True)
    (left / "old" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"x")
    (left / "model.safetensors.index.json").write_text("{}")
    path = add(source, root).path
    assert [p.name for p in path.rglob("*")] == ["diffusion_pytorch_model.safetensors"]


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_file_s_broken_copy_is_not_in_a_folder_s_way_nor_the_reverse(
    tmp_path: Path, root: Path, is_folder: bool
) -> None:
    name = "soft.safetensors"
    source = tmp_path / name
    sparse(source / "diffusion_pytorch_model.safetensors" if is_folder else source, VAE)
    left = root / "vae" / f".{name}.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x") if is_folder else left.mkdir()
    assert add(source, root).path.is_dir() == is_folder


def test_the_same_folder_again_changes_nothing_and_another_of_its_name_is_refused(
    tmp_path: Path, root: Path
) -> None:
    source = sparse(tmp_path / "soft" / "diffusion_pytorch_model.safetensors", VAE).parent
    assert add(source, root).new
    assert not add(source, root).new
    (source / "config.json").write_text("{}")
    with pytest.raises(RequestError, match="is there, and is another"):
        add(source, root)


def test_two_do_not_work_in_one_folder_at_once(tmp_path: Path, root: Path) -> None:
    root.mkdir()
    with FileLock(root / ".lock"), pytest.raises(OutputError, match="another sfumato"):
        add(sparse(tmp_path / "fox.safetensors", SD15), root)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        add(sparse(tmp_path / "fox.safetensors", SD15), tmp_path / "file" / "ours")


def test_of_the_hugging_face_cache_the_bytes_go_unless_another_revision_needs_them(
    tmp_path: Path,
) -> None:
    repository = tmp_path / "hub" / "models--fox--art"
    new, old = (repository / "snapshots" / (letter * 40) for letter in "ab")
    for mark, snapshots in (("one", (new, old)), ("two", (new,))):
        blob = sparse(repository / "blobs" / mark, SD15, mark)
        for snapshot in snapshots:
            snapshot.mkdir(parents=True, exist_ok=True)
            (snapshot / f"{mark}.safetensors").symlink_to(f"../../blobs/{blob.name}")
    shelves = Shelves([hugging_face(tmp_path / "hub")])
    for item in [item for item in shelves.items() if new in item.path.parents]:
        remove(item, None)
    assert [p.name for p in (repository / "blobs").iterdir()] == ["one"]
    assert [p.name for p in (repository / "snapshots").iterdir()] == [old.name]
    assert (old / "one.safetensors").exists()


def test_what_cannot_be_removed_is_told(tmp_path: Path) -> None:
    sparse(tmp_path / "mine" / "fox.safetensors", SD15)
    (item,) = Shelves([Folder(tmp_path / "mine")]).items()[1:]
    item.path.unlink()
    with pytest.raises(OutputError, match="cannot be removed"):
        remove(item, None)
