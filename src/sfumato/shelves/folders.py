"""The folders that models lie in: our own, and those of other programs, used where they are.

The layouts are those that AUTOMATIC1111's web UI (and Forge), ComfyUI and huggingface_hub document.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sfumato.weights.detect import Role

__all__ = ["COMFYUI_ROLES", "Folder", "Owner", "a1111", "comfyui", "hugging_face", "own"]

# Whose a folder is: part of sfumato; made by `models add`; named by the user; another program's.
Owner = Literal["bundled", "sfumato", "you", "A1111", "ComfyUI", "Hugging Face"]


@dataclass(frozen=True)
class Folder:
    """One folder of models, with all folders in it; or a single file.

    `role` is what its files are for where they do not say it themselves. An `optional` folder may
    be missing; any other that is gone is told.
    """

    path: Path
    owner: Owner = "you"
    role: Role | None = None
    optional: bool = False


# The folders of each layout, and what lies in them.
OWN: Mapping[str, Role] = {
    "checkpoints": "model",
    "diffusion_models": "denoiser",
    "vae": "vae",
    "text_encoders": "text_encoder",
    "embeddings": "embedding",
    "loras": "lora",
}
A1111: Mapping[str, Role] = {
    "models/Stable-diffusion": "model",
    "models/VAE": "vae",
    "models/text_encoder": "text_encoder",  # Forge
    "embeddings": "embedding",
    "models/Lora": "lora",
    "models/LyCORIS": "lora",
}
COMFYUI_ROLES: Mapping[str, Role] = {
    "checkpoints": "model",
    "diffusion_models": "denoiser",
    "unet": "denoiser",
    "vae": "vae",
    "text_encoders": "text_encoder",
    "clip": "text_encoder",
    "embeddings": "embedding",
    "loras": "lora",
}


def own(root: Path) -> tuple[Folder, ...]:
    """Where `models add` puts what it is given: a folder for each role, made when it is needed."""
    return _each(root, OWN.items(), "sfumato")


def a1111(root: Path) -> tuple[Folder, ...]:
    """The folders of an installation of A1111's web UI, or of Forge."""
    return _each(root, A1111.items(), "A1111")


def comfyui(root: Path) -> tuple[Folder, ...]:
    """The folders of an installation of ComfyUI, without those its extra_model_paths.yaml names."""
    return _each(root / "models", COMFYUI_ROLES.items(), "ComfyUI")


def hugging_face(root: Path) -> Folder:
    """The cache that huggingface_hub and all that use it share: models--owner--name/snapshots."""
    return Folder(root, "Hugging Face", optional=True)


def _each(root: Path, roles: Iterable[tuple[str, Role]], owner: Owner) -> tuple[Folder, ...]:
    return tuple(Folder(root / name, owner, role, optional=True) for name, role in roles)
