"""Every model file on this machine that can be asked for: by name, by path, by its sha256."""

from sfumato.shelves.comfyui import extra_paths
from sfumato.shelves.folders import Folder, Owner, a1111, comfyui, hugging_face, own
from sfumato.shelves.items import Item
from sfumato.shelves.shelves import Place, Shelves
from sfumato.shelves.walk import without_suffix
from sfumato.weights.detect import Role

__all__ = [
    "Folder",
    "Item",
    "Owner",
    "Place",
    "Role",
    "Shelves",
    "a1111",
    "comfyui",
    "extra_paths",
    "hugging_face",
    "own",
    "without_suffix",
]
