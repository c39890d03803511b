"""ComfyUI's extra_model_paths.yaml: where else that program looks for models.

Sections of any name, each with a `base_path` and, by the kind of folder, one or several paths, a
line each. The format: https://docs.comfy.org/development/core-concepts/models
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from sfumato.shelves.folders import COMFYUI_ROLES, Folder

__all__ = ["extra_paths"]

SIZE = 2**20  # bytes; a longer file is no configuration


def extra_paths(
    file: Path, expand: Callable[[str], str], troubles: list[str]
) -> tuple[Folder, ...]:
    """The folders that the file names, of kinds that sfumato knows; `expand` fills in variables.

    What is wrong with it joins `troubles`, and what is right is used.
    """
    import yaml

    try:
        if file.stat().st_size > SIZE:
            troubles.append(f"{file} has more than {SIZE:,} bytes, so it is left out")
            return ()
        content: object = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        troubles.append(f"{file} cannot be read: {why}")
        return ()
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else "nested too deeply"
        troubles.append(f"{file} is not YAML ({first}), so it is left out")
        return ()
    if content is None:  # nothing but comments, as it is shipped
        return ()
    if not isinstance(content, dict):
        troubles.append(f"{file} has no sections, so it is left out")
        return ()
    folders: list[Folder] = []
    for name, section in cast(dict[object, object], content).items():
        if section is None:
            continue
        if not isinstance(section, dict):
            troubles.append(f"{file}: {name} is no section, so it is left out")
            continue
        folders += _section(file, cast(dict[object, object], section), expand, troubles)
    return tuple(folders)


def _section(
    file: Path,
    section: dict[object, object],
    expand: Callable[[str], str],
    troubles: list[str],
) -> Iterator[Folder]:
    base = section.get("base_path", "")
    root = file.parent / Path(expand(str(base))).expanduser()
    for kind, role in COMFYUI_ROLES.items():
        value = section.get(kind)
        if value is None:
            continue
        if not isinstance(value, str):
            troubles.append(f"{file}: {kind} is {value!r:.60}, and not a path, so it is left out")
            continue
        for line in filter(None, map(str.strip, value.splitlines())):
            if "\0" not in line:
                yield Folder(root / line, "ComfyUI", role)
