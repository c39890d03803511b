"""Which files of a repository on a model hub make one model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sfumato.errors import RequestError
from sfumato.weights.files import PARTS, STEMS

__all__ = ["Wish", "chosen", "variants"]

WEIGHTS = (".safetensors", ".sft", ".gguf")
PICKLES = (".ckpt", ".pt", ".pth", ".bin")
SHOWN = 12  # files in a refusal
# stem[.variant][-00001-of-00002].safetensors, or the index of such shards
_NAME = re.compile(
    r"(?P<stem>[a-z_]+?)(?:\.(?P<variant>[a-z0-9_]+))?(?:-\d{5}-of-\d{5})?(?:\.(?P<later>[a-z0-9_]+))?"
    r"\.safetensors(?P<index>\.index(?:\.(?P<ofindex>[a-z0-9_]+))?\.json)?"
)


@dataclass(frozen=True)
class Wish:
    """What to fetch: `owner/name`, a branch, tag or commit, and names or patterns of files."""

    repository: str
    revision: str = "main"
    files: tuple[str, ...] = ()
    variant: str | None = None


def chosen(sizes: Mapping[str, int], wanted: Sequence[str], variant: str | None) -> list[str]:
    """The files to fetch, of all names and their bytes in a repository.

    `wanted` are names or patterns, and the only way to files that may hold code. Without any it is
    a whole diffusers folder in .safetensors, of the precision that has no name or of `variant`;
    or the only model file that there is. Raises RequestError where that is not clear.
    """
    if wanted:
        if variant is not None:
            raise RequestError("--variant chooses among parts, and --file names files; give one.")
        return _asked(sizes, wanted)
    if "model_index.json" in sizes:
        return _folder(sizes, variant)
    if variant is not None:
        raise RequestError("the repository is no diffusers folder, so it has no --variant.")
    files = [name for name in sizes if name.endswith(WEIGHTS)]
    if len(files) == 1:
        beside = str(PurePosixPath(files[0]).with_name("config.json"))
        stem = PurePosixPath(files[0]).name.split(".")[0]
        return [name for name in (beside,) if name in sizes and stem in STEMS] + files
    if not files:
        raise _none(sizes)
    raise RequestError(
        f"the repository holds {len(files)} model files; choose with --file:\n"
        f"{_listed(files, sizes)}"
    )


def _asked(sizes: Mapping[str, int], wanted: Sequence[str]) -> list[str]:
    found: list[str] = []
    for pattern in wanted:
        names = [n for n in sizes if n == pattern] or [n for n in sizes if fnmatchcase(n, pattern)]
        if not names:
            raise RequestError(
                f"the repository has no file {pattern!r:.80}; it has:\n"
                f"{_listed([n for n in sizes if n.endswith(WEIGHTS + PICKLES)] or sizes, sizes)}"
            )
        found += [name for name in names if name not in found]
    return found


def _folder(sizes: Mapping[str, int], variant: str | None) -> list[str]:
    """The parts that painting uses, their small files, and the weights of each."""
    files = ["model_index.json"]
    weights = 0
    for part in (*PARTS, "scheduler", "tokenizer", "tokenizer_2", "tokenizer_3"):
        inside = [name for name in sizes if name.startswith(f"{part}/") and name.count("/") == 1]
        files += [n for n in inside if n.endswith((".json", ".txt", ".model")) and not _parse(n)]
        kinds = _kinds(inside)
        if not kinds:
            if part in PARTS and any(name.endswith(PICKLES) for name in inside):
                raise _none(sizes)
            continue
        taken = kinds.get(variant or "")
        if taken is None and variant is None and len(kinds) == 1:
            (taken,) = kinds.values()  # there is no other
        if taken is None and variant is not None and part not in ("unet", "transformer"):
            taken = kinds.get("")  # a part that is not kept in this variant
        if taken is None:
            known = ", ".join(sorted(kind for kind in kinds if kind)) or "none"
            raise RequestError(
                f"{part} is not there in the variant {variant or 'without a name'!r}; choose with "
                f"--variant: {known}."
            )
        files += taken
        weights += 1
    if not weights:
        raise _none(sizes)
    return files


def variants(names: Sequence[str]) -> list[str]:
    """The named precisions in which a diffusers folder keeps its network."""
    inside = [name for name in names if name.startswith(("unet/", "transformer/"))]
    return sorted(kind for kind in _kinds(inside) if kind)


def _kinds(names: Sequence[str]) -> dict[str, list[str]]:
    """A part's weight files by their variant, the nameless one as an empty text."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        if (kind := _parse(name)) is not None:
            kinds.setdefault(kind[0], []).append(name)
    return kinds


def _parse(name: str) -> tuple[str] | None:
    """The variant of a weight file or index, in a tuple; None for any other file."""
    found = _NAME.fullmatch(name.rpartition("/")[2])
    if found is None or found["stem"] not in STEMS:
        return None
    return (found["variant"] or found["later"] or found["ofindex"] or "",)


def _none(sizes: Mapping[str, int]) -> RequestError:
    pickles = [name for name in sizes if name.endswith(PICKLES)]
    if not pickles:
        return RequestError("the repository holds no model file.")
    return RequestError(
        "the repository keeps weights only in files that may hold code; sfumato reads them without "
        f"running any, and fetches them only by name. With --file:\n{_listed(pickles, sizes)}"
    )


def _listed(names: Sequence[str] | Mapping[str, int], sizes: Mapping[str, int]) -> str:
    rows = [f"{name} ({sizes[name] / 1e9:.2f} GB)" for name in sorted(names)]
    more = [f"and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return ", ".join(rows[:SHOWN] + more)
