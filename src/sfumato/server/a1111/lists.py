"""The lists of the A1111 dialect: what there is to choose from, and honest empty ones."""

from __future__ import annotations

import os
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from sfumato.diffusion.table import SAMPLER_ROWS, SCHEDULE_ROWS
from sfumato.server.a1111.errors import RESPONSES, Route
from sfumato.server.a1111.extras import UPSCALERS
from sfumato.server.a1111.models import Checkpoints, short, stem, title

__all__ = ["lists"]

# The kinds of thing that clients ask for and that are not here.
_NONE = (
    "latent-upscale-modes",
    "hypernetworks",
    "face-restorers",
    "realesrgan-models",
    "prompt-styles",
    "artists",
    "artist-categories",
    "script-info",
    "extensions",
)


class Memory(BaseModel):
    """Bytes of memory, or why they are not told."""

    ram: dict[str, Any]
    cuda: dict[str, Any]


def lists(checkpoints: Checkpoints) -> APIRouter:
    """The routes that only tell; all of them plain GET."""
    router = APIRouter(
        prefix="/sdapi/v1", tags=["A1111"], route_class=Route, responses=dict(RESPONSES)
    )

    @router.get("/samplers")
    def samplers() -> list[dict[str, Any]]:
        return [
            {"name": row.title, "aliases": [row.name, *row.aliases], "options": {}}
            for row in SAMPLER_ROWS
        ]

    @router.get("/schedulers")
    def schedulers() -> list[dict[str, Any]]:
        automatic = _schedule("automatic", "Automatic", ())
        return [automatic, *(_schedule(r.name, r.title, r.aliases) for r in SCHEDULE_ROWS)]

    @router.get("/sd-models")
    def models() -> list[dict[str, Any]]:
        return [
            {
                "title": title(row),
                "model_name": stem(row.name),
                "hash": short(row.sha256),
                "sha256": row.sha256,
                "filename": row.name,  # the folder is nobody's business
                "config": None,
            }
            for row in checkpoints.rows
        ]

    @router.get("/sd-vae")
    def vaes() -> list[dict[str, str]]:
        return [
            {"model_name": item.name.rpartition("/")[2], "filename": item.name}
            for item in checkpoints.others("vae")
        ]

    @router.get("/loras")
    def loras() -> list[dict[str, Any]]:
        return [
            {"name": stem(item.name), "alias": stem(item.name), "path": item.name, "metadata": {}}
            for item in checkpoints.others("lora")
        ]

    @router.get("/upscalers")
    def upscalers() -> list[dict[str, Any]]:
        return [
            {"name": name, "model_name": None, "model_path": None, "model_url": None, "scale": 4}
            for name in UPSCALERS
        ]

    @router.get("/embeddings")
    def embeddings() -> dict[str, Any]:
        # What is within a file is not looked at for a list.
        nothing = dict.fromkeys(("step", "sd_checkpoint", "sd_checkpoint_name", "shape", "vectors"))
        names = [stem(item.name) for item in checkpoints.others("embedding")]
        return {"loaded": dict.fromkeys(names, nothing), "skipped": {}}

    @router.get("/scripts")
    def scripts() -> dict[str, list[str]]:
        return {"txt2img": [], "img2img": []}

    @router.get("/cmd-flags")
    def flags() -> dict[str, Any]:
        return {"api": True, "nowebui": False}

    @router.get("/memory")
    def memory() -> Memory:
        return Memory(ram=_ram(), cuda={"error": "the server sees no device"})

    for name in _NONE:
        router.add_api_route(f"/{name}", _empty, methods=["GET"], name=name)
    return router


def _empty() -> list[dict[str, Any]]:
    """Nothing of this kind is here."""
    return []


def _schedule(name: str, label: str, aliases: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "aliases": list(aliases),
        "default_rho": 7.0 if name == "karras" else -1.0,
        "need_inner_model": name not in ("karras", "exponential"),
    }


def _ram() -> dict[str, Any]:
    known = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES", "SC_AVPHYS_PAGES"} <= set(known):
        return {"error": "this system does not tell"}
    page = os.sysconf("SC_PAGE_SIZE")
    total, free = page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    return {"free": free, "used": total - free, "total": total}
