"""The routes that only tell: what this server is, and which models and samplers it has."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version

from fastapi import APIRouter

from sfumato.diffusion.table import SAMPLER_ROWS, SCHEDULE_ROWS
from sfumato.server import schemas
from sfumato.server.native.errors import room
from sfumato.server.services import Services

__all__ = ["routes"]


def routes(services: Services) -> APIRouter:
    """The routes of this file."""
    router = room("lists")
    settings = services.settings

    @router.get("/api/about")
    def get_about() -> schemas.About:
        """What this server is, what it paints with, and how much it takes on."""
        state = services.worker.state
        limits = settings.limits
        return schemas.About(
            name="sfumato",
            version=version("sfumato"),
            model=services.shelf.default.name,
            device=state.device or None,
            precision=state.precision or None,
            ready=state.ready,
            limits=schemas.LimitsTold(
                queue=limits.queue,
                pixels=limits.pixels,
                steps=limits.steps,
                count=limits.count,
                upload_bytes=limits.upload_bytes,
                upload_pixels=limits.upload_pixels,
            ),
            login=settings.guarded,
        )

    @router.get("/api/models")
    def list_models() -> list[schemas.Model]:
        """The models that requests may name, the server's own one first."""
        default = services.shelf.default.name
        return [
            schemas.Model(
                name=row.name,
                title=row.kind,
                family=row.family,
                default=row.name == default,
                bundled=row.bundled,
                sha256=row.sha256,
                defaults=None
                if row.defaults is None
                else schemas.DefaultsTold(**asdict(row.defaults)),
            )
            for row in services.shelf.rows()
        ]

    @router.get("/api/samplers")
    def list_samplers() -> schemas.Samplers:
        """The samplers and schedules, with all the names by which they are known."""
        return schemas.Samplers(
            samplers=[
                schemas.Sampler(
                    name=row.name,
                    title=row.title,
                    aliases=list(row.aliases),
                    stochastic=row.draws_noise,
                    cost=row.calls,
                    order=row.order,
                    summary=row.summary,
                )
                for row in SAMPLER_ROWS
            ],
            schedules=[
                schemas.Schedule(
                    name=row.name,
                    title=row.title,
                    aliases=list(row.aliases),
                    summary=row.summary,
                )
                for row in SCHEDULE_ROWS
            ],
        )

    return router
