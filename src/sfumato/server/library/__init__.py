"""The library: pictures and their recipes, as files in a folder and rows in a database."""

from sfumato.server.library.entry import Entry
from sfumato.server.library.folder import Imported
from sfumato.server.library.reading import SOURCES, Found, look
from sfumato.server.library.reconcile import Report
from sfumato.server.library.search import Page, Search
from sfumato.server.library.store import Library

__all__ = ["SOURCES", "Entry", "Found", "Imported", "Library", "Page", "Report", "Search", "look"]
