"""The layouts of upscaler files: ours, and that of Real-ESRGAN for its compact network.

Real-ESRGAN keeps all layers in one list, `body`: a convolution, its slopes, and so on, and the last
convolution. Its files may lead their keys by `params` or `params_ema`.
"""

import math

from sfumato.errors import WeightsError
from sfumato.spec import UpscalerConfig
from sfumato.weights.entries import Weights
from sfumato.weights.layouts.table import Row, Table, under

__all__ = ["config_of", "table"]

_LEADS = ("", "params_ema.", "params.")
OURS = "into.conv.weight"


def config_of(weights: Weights) -> UpscalerConfig:
    """The network that a file's shapes are of. Raises WeightsError, saying what is opened."""
    shapes = {key: entry.shape for key, entry in weights.entries.items()}
    if OURS in shapes:
        first, last = OURS, "out.weight"
        layers = sum(key.startswith("body.") and key.endswith(".conv.weight") for key in shapes)
    else:
        lead = next((lead for lead in _LEADS if f"{lead}body.0.weight" in shapes), "")
        kernels = [k for k in shapes if k.startswith(f"{lead}body.") and len(shapes[k]) == 4]
        first, last = f"{lead}body.0.weight", f"{lead}body.{2 * len(kernels) - 2}.weight"
        layers = len(kernels) - 2
    into, out = shapes.get(first, ()), shapes.get(last, ())
    scale = math.isqrt(out[0] // 3) if out else 0
    fits = into[1:] == (3, 3, 3) and out == (3 * scale**2, into[0], 3, 3) and layers > 0
    if not fits or scale < 2:
        raise WeightsError(
            f"{weights.path.name} is not an upscaler that sfumato opens.\n"
            "Expected Real-ESRGAN's compact network (SRVGGNetCompact) for RGB, twice as large or "
            "more, as realesr-animevideov3 and realesr-general-x4v3 are."
        )
    return UpscalerConfig(channels=into[0], layers=layers, scale=scale)


def table(weights: Weights, config: UpscalerConfig) -> Table:
    """The key table of a file whose shapes are those of ``config``."""
    if OURS in weights.entries:
        return Table(None, ("",))
    rows: list[Row] = [("into.conv", "body.0"), ("into.act", "body.1")]
    for i in range(config.layers):
        rows += under(f"body.{i}.", "body.", [("conv", str(2 * i + 2)), ("act", str(2 * i + 3))])
    rows.append(("out", f"body.{2 * config.layers + 2}"))
    return Table(dict(rows), _LEADS)
