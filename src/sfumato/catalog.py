"""Every model that sfumato knows by name: what it is made of, and how it likes to be used."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType

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
    texts=(TextPart(BertConfig(vocab=11196, length=32, adapter=1), "text"),),
    denoiser=UNetConfig(
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
        steps=20,
        guidance=3.0,
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
        sketch=(  # the factors in common use, as InvokeAI lists them
            (0.3816, 0.4930, 0.5320),
            (-0.3753, 0.1631, 0.1739),
            (0.1770, 0.3588, -0.2048),
            (-0.4350, -0.2644, -0.4289),
            (0.0, 0.0, 0.0),
        ),
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
        sketch=(  # the factors in common use, as AUTOMATIC1111 lists them
            (-0.0645, 0.0177, 0.1052),
            (0.0028, 0.0312, 0.0650),
            (0.1848, 0.0762, 0.0360),
            (0.0944, 0.0360, 0.0889),
            (0.0897, 0.0506, -0.0364),
            (-0.0020, 0.1203, 0.0284),
            (0.0855, 0.0118, 0.0283),
            (-0.0539, 0.0658, 0.1047),
            (-0.0057, 0.0116, 0.0700),
            (-0.0412, 0.0281, -0.0039),
            (0.1106, 0.1171, 0.1220),
            (-0.0248, 0.0682, -0.0481),
            (0.0815, 0.0846, 0.1207),
            (-0.0120, -0.0055, -0.0867),
            (-0.0749, -0.0634, -0.0456),
            (-0.1418, -0.1457, -0.1259),
            (0.0, 0.0, 0.0),
        ),
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
    texts=(TextPart(ClipConfig()), TextPart(T5Config(), "text_encoder_2")),
    denoiser=_FLUX,
    vae=VaeConfig(
        latent_channels=16,
        scale=0.3611,
        shift=0.1159,
        quant=False,
        sketch=(  # the factors in common use, by which previews of Flux are drawn elsewhere
            (-0.0346, 0.0244, 0.0681),
            (0.0034, 0.0210, 0.0687),
            (0.0275, -0.0668, -0.0433),
            (-0.0174, 0.0160, 0.0617),
            (0.0859, 0.0721, 0.0329),
            (0.0004, 0.0383, 0.0115),
            (0.0405, 0.0861, 0.0915),
            (-0.0236, -0.0185, -0.0259),
            (-0.0245, 0.0250, 0.1180),
            (0.1008, 0.0755, -0.0421),
            (-0.0515, 0.0201, 0.0011),
            (0.0428, -0.0012, -0.0036),
            (0.0817, 0.0765, 0.0749),
            (-0.1264, -0.0522, -0.1103),
            (-0.0280, -0.0881, -0.0499),
            (-0.1262, -0.0982, -0.0778),
            (-0.0329, -0.0718, -0.0851),
        ),
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
