"""Every model that sfumato knows by name: what it is made of, and how it likes to be used."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

from sfumato import sketches
from sfumato.errors import RequestError
from sfumato.limits import UPSCALER
from sfumato.resolve import Defaults
from sfumato.spec import (
    BertConfig,
    ClipConfig,
    FluxConfig,
    MMDiTConfig,
    ModelSpec,
    ProcessConfig,
    T5Config,
    TextPart,
    UNetConfig,
    UpscalerConfig,
    UpscalerSpec,
    VaeConfig,
)

__all__ = ["BUNDLED", "CATALOG", "ILLUSTRATION", "model_spec"]

# Our own model: illustrations at 128 x 128, small enough to ship. docs/model/ tells its making.
MINI = ModelSpec(
    name="mini",
    title="sfumato mini",
    family="mini",
    texts=(TextPart(BertConfig(vocab=12658, length=32, positions=32, adapter=1), "text"),),
    denoiser=UNetConfig(
        in_channels=8,
        out_channels=8,
        channels=(128, 256),
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
        sketch=sketches.MINI,
    ),
    process=ProcessConfig("flow"),
    defaults=Defaults(
        steps=20,
        guidance=2.0,
        sampler="dpmpp_2m",
        schedule="simple",
        width=128,
        height=128,
        pag_layers=(1,),
    ),
    asset="mini/model.safetensors",
)

_UNET_1 = UNetConfig()
SD15 = ModelSpec(
    name="sd15",
    title="Stable Diffusion 1.x",
    family="sd",
    texts=(TextPart(ClipConfig()),),
    denoiser=_UNET_1,
    vae=VaeConfig(
        sketch=sketches.SD1,
    ),
    process=ProcessConfig("eps"),
    defaults=Defaults(
        steps=25,
        guidance=7.5,
        sampler="dpmpp_2m",
        schedule="karras",
        width=512,
        height=512,
        pag_layers=(6,),  # the middle, as in the paper; also below
    ),
)

SD15_INPAINT = replace(
    SD15,
    name="sd15-inpaint",
    title="Stable Diffusion 1.x inpainting",
    denoiser=replace(_UNET_1, in_channels=9),
)

# OpenCLIP ViT-H without its last block, which Stable Diffusion 2 does not hear.
_OPEN_CLIP_H = ClipConfig(
    layers=23, width=1024, heads=16, hidden=4096, activation="gelu", pad=0, open_clip=True
)
_UNET_2 = UNetConfig(heads=None, head_width=64, context=1024, linear_projection=True)
SD21 = ModelSpec(
    name="sd21",
    title="Stable Diffusion 2.x, 768",
    family="sd",
    texts=(TextPart(_OPEN_CLIP_H),),
    denoiser=_UNET_2,
    vae=SD15.vae,
    process=ProcessConfig("v"),
    defaults=replace(SD15.defaults, width=768, height=768),
    sibling="sd21-base",
)
SD21_BASE = replace(
    SD21,
    name="sd21-base",
    title="Stable Diffusion 2.x, 512",
    process=ProcessConfig("eps"),
    defaults=SD15.defaults,
    sibling="sd21",
)
SD21_INPAINT = replace(
    SD21_BASE,
    name="sd21-inpaint",
    title="Stable Diffusion 2.x inpainting",
    sibling=None,
    denoiser=replace(_UNET_2, in_channels=9),
)

# OpenCLIP ViT-bigG, the second reader of SDXL and the only one of its refiner.
_OPEN_CLIP_G = ClipConfig(
    layers=32,
    width=1280,
    heads=20,
    hidden=5120,
    activation="gelu",
    take=-2,
    final_norm=False,
    projection=1280,
    pad=0,
    open_clip=True,
)
_UNET_XL = UNetConfig(
    channels=(320, 640, 1280),
    depth=(0, 2, 10),
    middle=10,
    heads=None,
    head_width=64,
    context=2048,
    linear_projection=True,
    added=2816,
)
SDXL = ModelSpec(
    name="sdxl",
    title="Stable Diffusion XL",
    family="sdxl",
    texts=(
        TextPart(ClipConfig(take=-2, final_norm=False)),
        TextPart(_OPEN_CLIP_G, "text_encoder_2"),
    ),
    denoiser=_UNET_XL,
    vae=VaeConfig(
        scale=0.13025,
        half=False,
        sketch=sketches.SDXL,
    ),
    process=ProcessConfig("eps"),
    defaults=Defaults(
        steps=30,
        guidance=7.0,
        sampler="dpmpp_2m",
        schedule="karras",
        width=1024,
        height=1024,
        pag_layers=(4,),
    ),
)
SDXL_REFINER = replace(
    SDXL,
    name="sdxl-refiner",
    title="Stable Diffusion XL refiner",
    texts=(TextPart(_OPEN_CLIP_G, "text_encoder_2"),),
    denoiser=replace(
        _UNET_XL,
        channels=(384, 768, 1536, 1536),
        depth=(0, 4, 4, 0),
        middle=4,
        context=1280,
        added=2560,
    ),
)

# As in SDXL, but under the names of transformers in every file, and both pooled states are taken.
# That of the first is not projected (Stability-AI/sd3.5, `sd3_infer.py`): what diffusers' folders
# keep for it is the unit matrix.
_CLIP_L_3 = ClipConfig(take=-2, final_norm=False)
_CLIP_G_3 = replace(_OPEN_CLIP_G, open_clip=False)
_MMDIT = MMDiTConfig()
SD3 = ModelSpec(
    name="sd3-medium",
    title="Stable Diffusion 3 medium",
    family="sd3",
    texts=(
        TextPart(_CLIP_L_3),
        TextPart(_CLIP_G_3, "text_encoder_2"),
        TextPart(T5Config(), "text_encoder_3", optional=True),
    ),
    denoiser=_MMDIT,
    vae=VaeConfig(
        latent_channels=16,
        scale=1.5305,
        shift=0.0609,
        quant=False,
        sketch=sketches.SD3,
    ),
    process=ProcessConfig("flow", shift=3.0),
    defaults=Defaults(
        steps=28,
        guidance=4.5,
        sampler="dpmpp_2m",
        schedule="sgm_uniform",
        width=1024,
        height=1024,
        multiple=16,
        # Skip-layer guidance was published for 3.5 medium, with these; PAG's is diffusers' usual.
        pag_layers=(1,),
        slg_layers=(7, 8, 9),
        largest=192 * 16,  # places that it has learnt
    ),
)
SD35_MEDIUM = replace(
    SD3,
    name="sd35-medium",
    title="Stable Diffusion 3.5 medium",
    denoiser=replace(_MMDIT, positions=384, qk_norm=True, dual=13),
    defaults=replace(SD3.defaults, largest=384 * 16),
)
SD35_LARGE = replace(
    SD3,
    name="sd35-large",
    title="Stable Diffusion 3.5 large",
    denoiser=replace(_MMDIT, width=2432, depth=38, heads=38, qk_norm=True),
)

_FLUX = FluxConfig()
FLUX_DEV = ModelSpec(
    name="flux-dev",
    title="Flux.1 dev",
    family="flux",
    texts=(TextPart(ClipConfig(), pooled=True), TextPart(T5Config(), "text_encoder_2")),
    denoiser=_FLUX,
    vae=VaeConfig(
        latent_channels=16,
        scale=0.3611,
        shift=0.1159,
        quant=False,
        sketch=sketches.FLUX,
    ),
    process=ProcessConfig("flow", by_size=True),
    defaults=Defaults(
        steps=20,
        guidance=1.0,
        sampler="euler",
        schedule="simple",
        width=1024,
        height=1024,
        distilled=3.5,
        multiple=16,
    ),
)
FLUX_SCHNELL = replace(
    FLUX_DEV,
    name="flux-schnell",
    title="Flux.1 schnell",
    denoiser=replace(_FLUX, guidance=False),
    process=ProcessConfig("flow"),
    defaults=replace(FLUX_DEV.defaults, steps=4, distilled=None),
)

_ROWS = (
    *(MINI, SD15, SD15_INPAINT, SD21, SD21_BASE, SD21_INPAINT, SDXL, SDXL_REFINER),
    *(SD3, SD35_MEDIUM, SD35_LARGE, FLUX_DEV, FLUX_SCHNELL),
)
CATALOG: Mapping[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _ROWS})
BUNDLED = MINI.name

# For drawings: flat colours and clear edges. train/upscaler.py tells where it comes from.
ILLUSTRATION = UpscalerSpec(
    name=UPSCALER,
    title="R-ESRGAN AnimeVideo",
    config=UpscalerConfig(channels=64, layers=16, scale=4),
    asset="upscaler/realesr-animevideov3.safetensors",
)


def model_spec(name: str) -> ModelSpec:
    """The row of a model by its name. RequestError with the nearest names for an unknown one."""
    if name in CATALOG:
        return CATALOG[name]
    near = get_close_matches(name.lower(), CATALOG, n=3, cutoff=0.4) or list(CATALOG)
    raise RequestError(f"There is no model {name!r}. Did you mean {' or '.join(near)}?")
