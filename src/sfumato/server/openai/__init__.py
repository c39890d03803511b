"""The dialect of OpenAI's image API, under `/v1`: pictures, edits, streams of partial pictures."""

from sfumato.server.openai.errors import error
from sfumato.server.openai.routes import router

__all__ = ["error", "router"]
