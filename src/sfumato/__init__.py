"""Stable Diffusion in Python: a prompt, a seed and some steps become a picture.

>>> engine = sfumato.load()                # the bundled model, or a checkpoint's path
>>> run = engine.submit(sfumato.Request("a red fox, 3d", seed=7))
>>> run.result().pictures[0].save("fox.png")

A request may start from a picture, `image=sfumato.Source.read(Path("photo.jpg"))`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sfumato.embedding import Embedding
from sfumato.errors import SfumatoError
from sfumato.request import Request
from sfumato.source import Source

if TYPE_CHECKING:
    from sfumato.engine import Engine
    from sfumato.shelves import Shelves

__all__ = ["Embedding", "Request", "SfumatoError", "Source", "load"]


def load(
    model: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    *,
    shelves: Shelves | None = None,
) -> Engine:
    """An engine with a model in memory: the bundled one, one of the catalog, or a file's path.

    ``device``: auto, cpu, cuda, cuda:N or mps. ``precision``: auto, fp32, fp16 or bf16.
    ``shelves`` find models, their parts and embeddings by name or sha256 as well, in any folders::

        from sfumato.shelves import Folder, Shelves
        engine = sfumato.load("my-fox", shelves=Shelves([Folder(Path("models"))]))

    and `sfumato.cli.configuration.shelves()` are those of the command line, by its configuration.
    Raises RequestError for an unknown name and WeightsError for a file that is not a model.
    """
    from sfumato.catalog import BUNDLED
    from sfumato.engine import Engine  # torch comes with it, so only now

    model = BUNDLED if model is None else model
    engine = Engine(device, precision, model=model, shelves=shelves)
    engine.load()
    return engine
