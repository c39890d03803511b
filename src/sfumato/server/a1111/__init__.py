"""The dialect of AUTOMATIC1111's web UI, under `/sdapi/v1`: what its many clients already speak."""

from sfumato.server.a1111.errors import error
from sfumato.server.a1111.routes import router

__all__ = ["error", "router"]
