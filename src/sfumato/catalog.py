"""Every model that sfumato knows by name: what it is made of, and how it likes to be used."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

from sfumato.errors import RequestError
from sfumato.request import Defaults
from sfumato.spec import (
    BertConfig,
    ClipConfig,
    ModelSpec,
    ProcessConfig,
    UNetConfig,
    VaeConfig,
)

__all__ = ["BUNDLED", "CATALOG", "model_spec"]

# Our own model: illustrations at 128 x 128, small enough to ship. docs/model/ tells its making.
MINI = ModelSpec(
    name="mini",
    title="sfumato mini",
    family="mini",
    text=BertConfig(vocab=11196, length=32, adapter=1),
    unet=UNetConfig(
        in_channels=8,
        out_channels=8,
        channels=(96, 256),
        blocks=1,
        depth=(0, 1),
        middle=1,
        heads=None,
        head_width=64,
        context=384,
        linear_projection=True,
        added=384,
        scale_shift=True,
    ),
    vae=VaeConfig(
        latent_channels=8,
        channels=(64, 128),
        blocks=1,
        scale=1.0,
        patch=4,
        groups=16,
        sketch=(  # fitted by benchmarks/sketch_factors.py: 86 % of the variance
            (-0.0862, 0.0610, 0.3063),
            (0.2881, 0.4857, 0.4073),
            (0.0034, 0.0429, -0.1417),
            (-0.3856, -0.2349, 0.1051),
            (0.1586, 0.3117, 0.1109),
            (0.0743, -0.3696, -0.2125),
            (-0.2846, 0.0039, 0.3468),
            (-0.3495, -0.5712, -0.4637),
            (0.3968, 0.2873, 0.1077),
        ),
    ),
    process=ProcessConfig("flow"),
    defaults=Defaults(
        steps=20, guidance=3.0, sampler="dpmpp_2m", schedule="simple", width=128, height=128
    ),
    asset="mini/model.safetensors",
)

SD15 = ModelSpec(
    name="sd15",
    title="Stable Diffusion 1.x",
    family="sd",
    text=ClipConfig(),
    unet=UNetConfig(),
    vae=VaeConfig(
        sketch=(  # the factors in common use, as InvokeAI lists them
            (0.3444, 0.1385, 0.0670),
            (0.1247, 0.4027, 0.1494),
            (-0.3192, 0.2513, 0.2103),
            (-0.1307, -0.1874, -0.7445),
            (0.0, 0.0, 0.0),
        ),
    ),
    process=ProcessConfig("eps"),
    defaults=Defaults(
        steps=25, guidance=7.5, sampler="dpmpp_2m", schedule="karras", width=512, height=512
    ),
)

SD15_INPAINT = replace(
    SD15,
    name="sd15-inpaint",
    title="Stable Diffusion 1.x inpainting",
    unet=replace(SD15.unet, in_channels=9),
)

CATALOG: Mapping[str, ModelSpec] = MappingProxyType(
    {spec.name: spec for spec in (MINI, SD15, SD15_INPAINT)}
)
BUNDLED = MINI.name


def model_spec(name: str) -> ModelSpec:
    """The row of a model by its name. RequestError with the nearest names for an unknown one."""
    if name in CATALOG:
        return CATALOG[name]
    near = get_close_matches(name.lower(), CATALOG, n=3, cutoff=0.4) or list(CATALOG)
    raise RequestError(f"There is no model {name!r}. Did you mean {' or '.join(near)}?")
