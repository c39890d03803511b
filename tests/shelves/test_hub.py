"""`models get` against a hub on loopback: what arrives is whole, is what was announced, goes on."""

import errno
import hashlib
import shutil
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from sfumato.errors import OutputError, RequestError, WeightsError
from sfumato.shelves import Shelves, hub, hugging_face
from sfumato.shelves.choice import Wish
from sfumato.shelves.hub import Got, get, look_up
from sfumato.weights.hashes import remembered
from tests.shelves.files import SD15, VAE, of, sparse
from tests.shelves.hub_server import COMMIT, Hub, serving

ART, FILE = "fox/art", "fox.safetensors"


@pytest.fixture
def server(loopback: None, tmp_path: Path) -> Generator[Hub]:
    data = sparse(tmp_path / "source" / FILE, SD15).read_bytes()
    with serving(Hub({ART: {FILE: data, "README.md": b"art"}})) as hub:
        yield hub


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub waits between its attempts, and writes in large pieces; here it need not."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hub"


def fetch(server: Hub, cache: Path, wish: Wish | None = None, **options: Any) -> Got:
    return get(look_up(wish or Wish(ART), server.address), cache, server.address, **options)


def left(cache: Path) -> list[Path]:
    """What is half done."""
    return [path for path in cache.rglob("*incomplete*") if path.is_file()]


def test_the_only_model_file_is_fetched_checked_and_found_by_its_name(
    server: Hub, cache: Path, tmp_path: Path
) -> None:
    told, hashes = list[tuple[int, int]](), tmp_path / "hashes.json"
    got = fetch(server, cache, hashes=hashes, tell=lambda done, total: told.append((done, total)))
    (path,) = got.files
    assert path == cache / "models--fox--art" / "snapshots" / COMMIT / FILE
    assert path.read_bytes() == server.repositories[ART][FILE]
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    assert remembered(path, hashes) == of(path)
    assert Shelves([hugging_face(cache)]).find("fox/art/fox").path == path
    assert left(cache) == []


def test_what_is_there_is_not_fetched_again(server: Hub, cache: Path) -> None:
    first = fetch(server, cache)
    assert fetch(server, cache) == first
    assert server.fetched(FILE) == [0]


def test_huggingface_hub_itself_finds_what_was_fetched(server: Hub, cache: Path) -> None:
    from huggingface_hub import hf_hub_download

    (path,) = fetch(server, cache).files
    found = hf_hub_download(ART, FILE, cache_dir=cache, local_files_only=True)
    assert Path(found) == path


def test_a_line_that_breaks_is_taken_up_again_where_it_broke(
    server: Hub, cache: Path, quick: None
) -> None:
    server.breaks, server.times = {FILE: 100_000}, 2
    (path,) = fetch(server, cache).files
    assert path.read_bytes() == server.repositories[ART][FILE]
    assert server.fetched(FILE) == [0, 100_000, 200_000]


def test_what_was_interrupted_goes_on_the_next_time(server: Hub, cache: Path, quick: None) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, cache, tell=stop)
    (part,) = left(cache)
    have = part.stat().st_size
    assert 0 < have < len(server.repositories[ART][FILE])
    assert len(Shelves([hugging_face(cache)]).items()) == 1  # nothing half done is on the shelves
    (path,) = fetch(server, cache).files
    assert server.fetched(FILE) == [0, have]
    assert path.read_bytes() == server.repositories[ART][FILE]
    assert left(cache) == []


@pytest.fixture
def small_answers(server: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub, and a huggingface_hub, that find our file too large for one answer."""
    monkeypatch.setattr("huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE", 200_000)
    monkeypatch.setattr(hub, "WHOLE", 200_000)
    monkeypatch.setattr(hub, "PIECE", 120_000)
    server.most = 200_000
    return server


def test_a_file_too_large_for_one_answer_comes_in_pieces(small_answers: Hub, cache: Path) -> None:
    data = small_answers.repositories[ART][FILE]
    assert len(data) > small_answers.most
    told: list[tuple[int, int]] = []
    (path,) = fetch(small_answers, cache, tell=lambda *so_far: told.append(so_far)).files
    assert path.read_bytes() == data
    assert small_answers.fetched(FILE) == list(range(0, len(data), 120_000))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(data), len(data))


def test_a_file_in_pieces_goes_on_in_the_middle_of_one(
    small_answers: Hub, cache: Path, quick: None
) -> None:
    data = small_answers.repositories[ART][FILE]
    blobs = cache / "models--fox--art" / "blobs"
    blobs.mkdir(parents=True)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / f"{digest}{hub.INCOMPLETE}").write_bytes(data[:130_000])
    small_answers.breaks, small_answers.times = {FILE: 50_000}, 1
    (path,) = fetch(small_answers, cache).files
    assert path.read_bytes() == data
    assert small_answers.fetched(FILE)[:2] == [130_000, 180_000]


def test_a_hub_without_pieces_cannot_send_what_is_too_large(
    small_answers: Hub, cache: Path
) -> None:
    small_answers.ignores_ranges, small_answers.most = True, None
    with pytest.raises(OutputError, match="more bytes than it was asked for"):
        fetch(small_answers, cache)
    small_answers.ignores_ranges = False
    data = small_answers.repositories[ART][FILE]
    assert fetch(small_answers, cache).files[0].read_bytes() == data


def test_a_hub_that_sends_no_parts_sends_the_whole_again(server: Hub, cache: Path) -> None:
    data = server.repositories[ART][FILE]
    blobs = cache / "models--fox--art" / "blobs"
    blobs.mkdir(parents=True)
    digest = hashlib.sha256(data).hexdigest()
    (blobs / f"{digest}{hub.INCOMPLETE}").write_bytes(data[:1000])
    server.ignores_ranges = True
    (path,) = fetch(server, cache).files
    assert path.read_bytes() == data


@pytest.mark.parametrize("extra", [b"", b"x"])
def test_a_beginning_that_is_wrong_is_found_out(server: Hub, cache: Path, extra: bytes) -> None:
    data = server.repositories[ART][FILE]
    blobs = cache / "models--fox--art" / "blobs"
    blobs.mkdir(parents=True)
    part = blobs / f"{hashlib.sha256(data).hexdigest()}{hub.INCOMPLETE}"
    part.write_bytes(b"x" * len(data) + extra if extra else b"x" * 1000)
    if not extra:
        with pytest.raises(WeightsError, match="other bytes"):
            fetch(server, cache)
    assert fetch(server, cache).files[0].read_bytes() == data


@pytest.mark.parametrize("size", [50, 5000])
def test_a_file_with_another_hash_is_refused_and_deleted(
    server: Hub, cache: Path, size: int
) -> None:
    server.repositories["bad/art"] = {"x.gguf": b"g" * size}
    server.lies.add("x.gguf")
    with pytest.raises(WeightsError, match="other bytes than the hub announced"):
        fetch(server, cache, Wish("bad/art"))
    assert left(cache) == []
    assert not [p for p in cache.rglob("*") if p.is_symlink()]
    assert not list(cache.rglob("refs/main"))


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (Wish("fox/none"), "no repository fox/none, or it is private"),
        (Wish(ART, "v9"), "no revision 'v9'"),
        (Wish(ART, files=("owl.safetensors",)), "no file 'owl.safetensors'; it has"),
        (Wish("fox"), "give OWNER/NAME"),
        (Wish("fox/art/more"), "give OWNER/NAME"),
        (Wish("fox/a rt"), "give OWNER/NAME"),
        (Wish("../art"), "give OWNER/NAME"),
        (Wish(ART, variant="fp16"), "no diffusers folder"),
        (Wish(ART, files=(FILE,), variant="fp16"), "give one"),
    ],
)
def test_what_is_not_there_is_told(server: Hub, cache: Path, wish: Wish, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        fetch(server, cache, wish)


def test_a_gated_repository_is_told_with_what_to_do(server: Hub, cache: Path) -> None:
    server.gated.add(ART)
    with pytest.raises(RequestError, match=r"is gated: .*HF_TOKEN"):
        fetch(server, cache)


def test_a_hub_that_is_ill_or_away_is_told(server: Hub, cache: Path, quick: None) -> None:
    server.fails = 500
    with pytest.raises(RequestError, match="the hub answered 500"):
        look_up(Wish(ART), server.address)
    with pytest.raises(OutputError, match="the line to the hub broke"):
        look_up(Wish(ART), "http://127.0.0.1:1")


def test_a_name_that_leads_out_of_its_folder_is_none(server: Hub, cache: Path) -> None:
    server.repositories["bad/art"] = {"../../x.safetensors": b"x" * 2000, "a.gguf": b"y" * 2000}
    assert list(look_up(Wish("bad/art"), server.address).files) == ["a.gguf"]


def test_a_full_disk_is_told_before_and_in_the_middle(
    server: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 8, 1))
        with pytest.raises(OutputError, match="Make room"):
            fetch(server, cache)
    assert server.fetched(FILE) == []

    def full(done: int, total: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"no space left on device.*goes on from there"):
        fetch(server, cache, tell=full)
    assert fetch(server, cache).files[0].exists()


def test_a_diffusers_folder_comes_with_its_parts_and_nothing_else(
    server: Hub, cache: Path, tmp_path: Path
) -> None:
    weights = sparse(tmp_path / "vae.safetensors", VAE).read_bytes()
    server.repositories["fox/whole"] = {
        "model_index.json": b"{}",
        "README.md": b"art",
        "whole-v1.ckpt": b"c" * 3000,
        "scheduler/scheduler_config.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": weights,
        "unet/diffusion_pytorch_model.fp16.safetensors": weights,
        "unet/diffusion_pytorch_model.bin": b"b" * 3000,
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": weights,
    }
    got = fetch(server, cache, Wish("fox/whole"))
    assert sorted(path.relative_to(got.snapshot).as_posix() for path in got.files) == [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    assert (cache / "models--fox--whole" / "refs" / "main").read_text() == COMMIT
