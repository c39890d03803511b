"""`models get`: a model from a hub, fetched into huggingface_hub's cache. The door to the network.

Each file grows beside its place and is checked against the hash that the hub announced before it
gets its name; what a broken connection or a kill left is gone on from. huggingface_hub keeps to its
own layout of the cache, so that all other programs find the model there too.
"""

import hashlib
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from filelock import FileLock

from sfumato.errors import OutputError, RequestError, WeightsError
from sfumato.shelves.choice import Wish, chosen
from sfumato.shelves.keep import Tell
from sfumato.weights.hashes import learn

__all__ = ["Got", "Offer", "Remote", "get", "look_up"]

INCOMPLETE = ".sfumato-incomplete"
CHUNK = 8 * 2**20
# Bytes of a file beyond which it is asked for in pieces: larger answers are given by no hub (its
# caches hold none), and huggingface_hub refuses to ask for one.
WHOLE = 50 * 10**9
PIECE = 10 * 10**9


@dataclass(frozen=True)
class Remote:
    """One file on the hub. `hash` is its sha256, or git's own for a small file."""

    name: str
    bytes: int
    hash: str


@dataclass(frozen=True)
class Offer:
    """What the hub has of a repository: the commit, its files, and those that were chosen."""

    wish: Wish
    commit: str
    files: Mapping[str, Remote]
    chosen: tuple[Remote, ...]

    @property
    def bytes(self) -> int:
        """Of what was chosen."""
        return sum(file.bytes for file in self.chosen)


@dataclass(frozen=True)
class Got:
    """Where the snapshot lies, and the files of it that were fetched or were there."""

    snapshot: Path
    files: tuple[Path, ...]


def look_up(wish: Wish, endpoint: str | None) -> Offer:
    """Ask the hub what it has. Raises RequestError and OutputError, which say what to do."""
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise RequestError("get needs one more package: pip install 'sfumato[hub]'") from error
    if wish.repository.count("/") != 1:
        raise RequestError(
            f"{wish.repository!r:.80} is no repository; give OWNER/NAME as the hub shows it."
        )
    with _told(wish):
        api = HfApi(endpoint=endpoint, library_name="sfumato")
        info = api.model_info(wish.repository, revision=wish.revision, files_metadata=True)
    files: dict[str, Remote] = {}
    for sibling in info.siblings or []:
        name, lfs = sibling.rfilename, sibling.lfs
        mark = sibling.blob_id if lfs is None else lfs.sha256
        if sibling.size is not None and mark is not None and _is_inside(name):
            files[name] = Remote(name, sibling.size, mark)
    commit = info.sha
    if commit is None:
        raise OutputError(f"the hub does not say which commit of {wish.repository} it has.")
    names = chosen({name: file.bytes for name, file in files.items()}, wish.files, wish.variant)
    return Offer(wish, commit, files, tuple(files[name] for name in names))


def get(
    offer: Offer,
    cache: Path,
    endpoint: str | None,
    *,
    hashes: Path | None = None,
    tell: Tell = lambda done, total: None,
) -> Got:
    """Fetch what was chosen, or the rest of it. `cache` is the folder of huggingface_hub's cache.

    Raises WeightsError for a file that is not what the hub announced (it is deleted), OutputError
    where it cannot be written, RequestError for what the hub refuses.
    """
    from huggingface_hub import file_download
    from huggingface_hub.utils import disable_progress_bars

    wish = offer.wish
    folder = cache / file_download.repo_folder_name(repo_id=wish.repository, repo_type="model")
    locks = cache / ".locks" / folder.name
    done, total = 0, offer.bytes
    files: list[Path] = []
    with _told(wish), disable_progress_bars():  # progress is told by `tell`
        blobs = folder / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        locks.mkdir(parents=True, exist_ok=True)
        _require_room(offer, blobs)
        for file in offer.chosen:
            blob = blobs / file.hash
            with FileLock(locks / f"{file.hash}.lock"):
                if not blob.exists():
                    _fetch(offer, file, blob, endpoint, lambda n, d=done: tell(d + n, total))
            done += file.bytes
            tell(done, total)
            place = file_download.hf_hub_download(
                wish.repository,
                file.name,
                revision=offer.commit,
                cache_dir=cache,
                endpoint=endpoint,
                library_name="sfumato",
            )
            files.append(Path(place))
            if len(file.hash) == 64:
                learn(Path(place), file.hash, hashes)
        _name_revision(folder, wish.revision, offer.commit)
    return Got(folder / "snapshots" / offer.commit, tuple(files))


def _fetch(
    offer: Offer, file: Remote, blob: Path, endpoint: str | None, tell: Callable[[int], None]
) -> None:
    """One file to its place, from where an earlier time stopped."""
    from huggingface_hub import file_download, utils

    wish = offer.wish
    part = blob.with_name(blob.name + INCOMPLETE)
    have = part.stat().st_size if part.exists() else 0
    if have > file.bytes:
        part.unlink()
        have = 0
    url = file_download.hf_hub_url(
        wish.repository, file.name, revision=offer.commit, endpoint=endpoint
    )
    headers = utils.build_hf_headers(library_name="sfumato")
    with part.open("ab" if have else "wb") as opened:
        for end in _ends(have, file.bytes):
            to_end = {"Range": f"bytes=0-{end - 1}"} if file.bytes > WHOLE else {}
            counted = cast(BinaryIO, _Counted(opened, end, tell))
            file_download.http_get(
                url, counted, resume_size=have, headers={**headers, **to_end}, expected_size=end
            )
            have = end
    if _hash_of(part, file) != file.hash:
        part.unlink()
        raise WeightsError(
            f"{file.name} of {wish.repository} came with other bytes than the hub announced, so it "
            "was deleted.\nTry again; if it stays so, the hub or the line to it is not to be "
            "trusted."
        )
    part.replace(blob)


def _ends(have: int, size: int) -> Iterator[int]:
    """Where each request for a file's bytes ends, if so many are there: one, or one a piece."""
    if size <= WHOLE:
        yield size
        return
    while have < size:
        have = min(have + PIECE, size)
        yield have


class _Counted:
    """A file that tells how long it is whenever it grows, and takes no byte beyond its `end`."""

    def __init__(self, file: BinaryIO, end: int, tell: Callable[[int], None]) -> None:
        self._file, self._end, self._tell = file, end, tell

    def write(self, data: bytes) -> int:
        if self._file.tell() + len(data) > self._end:
            raise OutputError(
                "the hub sent more bytes than it was asked for. If it gives no pieces of a file, "
                "which one of this size needs, fetch it in another way, and see: models add."
            )
        written = self._file.write(data)
        self._tell(self._file.tell())
        return written

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def truncate(self) -> int:
        return self._file.truncate()


def _hash_of(path: Path, file: Remote) -> str:
    """In the kind of the hash that was announced: sha256, or git's sha1 of a blob."""
    with path.open("rb") as opened:
        if len(file.hash) == 64:
            return hashlib.file_digest(opened, "sha256").hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
        return digest.hexdigest()


def _is_inside(name: str) -> bool:
    """Whether a name of the hub's stays within its folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and not set("\\:\0") & set(name)


def _name_revision(folder: Path, revision: str, commit: str) -> None:
    """A branch leads to the snapshot once that is whole."""
    ref = folder / "refs" / revision
    if revision == commit or not _is_inside(revision):
        return
    ref.parent.mkdir(parents=True, exist_ok=True)
    beside = ref.with_name(f"{ref.name}{INCOMPLETE}")
    beside.write_text(commit)
    beside.replace(ref)


def _require_room(offer: Offer, blobs: Path) -> None:
    need = sum(file.bytes for file in offer.chosen if not (blobs / file.hash).exists())
    for file in offer.chosen:
        part = blobs / (file.hash + INCOMPLETE)
        need -= part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(blobs).free
    if need > free:
        raise OutputError(
            f"{offer.wish.repository} needs {need / 1e9:.2f} GB in {blobs}, where "
            f"{free / 1e9:.2f} are free. Make room, or set HF_HOME to another disk."
        )


@contextmanager
def _told(wish: Wish) -> Generator[None]:
    """What a hub or a line answers with, in words that say what to do."""
    import httpx2
    from huggingface_hub import errors

    name = wish.repository
    try:
        yield
    except errors.GatedRepoError as error:
        raise RequestError(
            f"{name} is gated: its owner wants to know who takes it. Accept the terms on its page, "
            "then set HF_TOKEN to a token of yours, or run: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise RequestError(f"{name} has no revision {wish.revision!r:.80}.") from error
    except errors.RepositoryNotFoundError as error:
        raise RequestError(
            f"there is no repository {name}, or it is private. Mind the spelling; for a private "
            "one set HF_TOKEN."
        ) from error
    except errors.EntryNotFoundError as error:
        raise RequestError(f"{name} has lost a file while it was fetched; try again.") from error
    except errors.HFValidationError as error:
        raise RequestError(f"{name!r:.80} is no repository; give OWNER/NAME.") from error
    except errors.OfflineModeIsEnabled as error:
        raise RequestError("HF_HUB_OFFLINE is set, so nothing is fetched; unset it.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        raise RequestError(f"the hub answered {status} for {name}; try again later.") from error
    except httpx2.HTTPError as error:
        raise OutputError(
            f"the line to the hub broke ({type(error).__name__}). The same command goes on from "
            "where it stopped."
        ) from error
    except OSError as error:
        if error.errno is None:  # huggingface_hub's own: what came is shorter than announced
            raise OutputError(
                f"the line to the hub broke off early for {name}. The same command goes on from "
                "where it stopped."
            ) from error
        place = error.filename or "the cache"
        raise OutputError(
            f"{place} cannot be written: {(error.strerror or str(error)).lower()}. "
            "What has come stays, and the same command goes on from there."
        ) from error
