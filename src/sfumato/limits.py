"""What each field of a request may hold, by itself; what holds between them is in `Request`."""

from collections.abc import Mapping

from sfumato.checks import (
    Check,
    flag,
    named,
    names,
    one_number_of,
    one_of,
    real,
    reals,
    side,
    text,
    whole,
    wholes,
)
from sfumato.embedding import embeddings
from sfumato.numerics import CHOICES, LIKE

MAX_SEED = 2**64 - 1
MAX_STEPS = 1000
MAX_COUNT = 1000
MAX_GUIDANCE = 100.0
MAX_CLIP_SKIP = 12  # as many layers as the encoder of Stable Diffusion 1 has
MAX_SIGMA = 1e6  # far above the pure noise of any model
MIN_SHIFT, MAX_SHIFT = 0.01, 100.0  # of a flow's levels; of 0 none would be left
MAX_TOLD = 16384  # pixels of a side, or a margin, that a model is told of
MAX_LAYERS = 64  # that may be named of a network: more than any has
# How the two prompts' outputs become one, and how an estimate that grew too large is held.
RULES = ("cfg", "zero_star", "apg")
THRESHOLDS = ("none", "mimic", "imagen")
# The fields that only one way of another field reads: that field, and its way.
OWN: Mapping[str, tuple[str, str]] = {
    "apg_along": ("guidance_rule", "apg"),
    "apg_longest": ("guidance_rule", "apg"),
    "zero_steps": ("guidance_rule", "zero_star"),
    "mimic_scale": ("threshold", "mimic"),
    "mimic_quantile": ("threshold", "mimic"),
    "imagen_quantile": ("threshold", "imagen"),
    "imagen_limit": ("threshold", "imagen"),
}
MIN_SIZE, MAX_SIZE, SIZE_STEP = 8, 8192, 8
# All fields that hold a seed; which of them count on through a run is `Request.counting`.
SEEDS = ("seed", "path_seed", "variation_seed")
# Fields that name files; and those that are no open question where they are None: there is none.
FILES = frozenset(("model", "refiner", "vae", "text_encoders", "upscaler"))
NONE = frozenset(
    (
        *("image", "mask", "mask_padding", "upscale", "interval", "vae", "sigmas", "refiner"),
        "shift",
        *("original_size", "target_size", "negative_crop"),
        *("negative_original_size", "negative_target_size"),
        *("variation_strength", "seed_width", "seed_height"),
    )
)
REFINER_AT = 0.8  # of the way from noise to picture, where nobody says
STRENGTH = 0.75  # of a picture to start from, where nobody says
# How many times larger a finished picture may be made, and what does it where nobody says.
UPSCALES = (2, 4)
UPSCALER = "realesr-animevideov3"
MAX_BLUR, MAX_PADDING = 256, 1024
# How a picture meets another shape, and what lies under a mask before it is painted.
FITS = ("crop", "stretch", "pad")
FILLS = ("original", "blur", "noise", "nothing")

# What each field may hold, beside None where that is its usual value; names of samplers and the
# like are looked up in `resolve`, pictures and what depends on other fields in `Request` itself.
CHECKS: Mapping[str, Check] = {
    "prompt": text,
    "negative": text,
    "template": text,
    "negative_template": text,
    "seed": whole(0, MAX_SEED),
    "steps": whole(1, MAX_STEPS),
    "guidance": real(0, MAX_GUIDANCE),
    "rescale": real(0, 1),
    "distilled": real(0, MAX_GUIDANCE),
    "interval": reals(0, MAX_SIGMA, 2),
    "guidance_rule": one_of(RULES),
    "apg_along": real(0, 1),
    "apg_longest": real(0, 1000),
    "zero_steps": whole(0, MAX_STEPS),
    "pag": real(0, MAX_GUIDANCE),
    "pag_layers": wholes(0, MAX_LAYERS, MAX_LAYERS),
    "slg": real(0, MAX_GUIDANCE),
    "slg_layers": wholes(0, MAX_LAYERS, MAX_LAYERS),
    "slg_during": reals(0, 1, 2),
    "threshold": one_of(THRESHOLDS),
    "mimic_scale": real(0, MAX_GUIDANCE),
    "mimic_quantile": real(0.5, 1),
    "imagen_quantile": real(0.5, 1),
    "imagen_limit": real(0.1, 100),
    "sampler": named,
    "schedule": named,
    "sigmas": reals(0, MAX_SIGMA, MAX_STEPS + 1),
    "shift": real(MIN_SHIFT, MAX_SHIFT),
    "width": side(MIN_SIZE, MAX_SIZE, SIZE_STEP),
    "height": side(MIN_SIZE, MAX_SIZE, SIZE_STEP),
    "count": whole(1, MAX_COUNT),
    "wander": flag,
    "path_seed": whole(0, MAX_SEED),
    "variation_seed": whole(0, MAX_SEED),
    "variation_strength": real(0, 1),
    "seed_width": side(MIN_SIZE, MAX_SIZE, SIZE_STEP),
    "seed_height": side(MIN_SIZE, MAX_SIZE, SIZE_STEP),
    "like": one_of(tuple(LIKE)),
    "stream": one_of(CHOICES["stream"]),
    "step_noise": one_of(CHOICES["step_noise"]),
    "sde_noise": one_of(CHOICES["sde_noise"]),
    "first_noise": one_of(CHOICES["first_noise"]),
    "whole_times": flag,
    "discard_penultimate": flag,
    "strength_steps": one_of(CHOICES["strength_steps"]),
    "weighting": one_of(CHOICES["weighting"]),
    "empty_negative": one_of(CHOICES["empty_negative"]),
    "t5_padding": one_of(CHOICES["t5_padding"]),
    "fixed_shift": flag,
    "rounding": one_of(CHOICES["rounding"]),
    "clip_skip": whole(1, MAX_CLIP_SKIP),
    "embeddings": embeddings,
    "original_size": wholes(1, MAX_TOLD, 2, least=2),
    "crop": wholes(0, MAX_TOLD, 2, least=2),
    "target_size": wholes(1, MAX_TOLD, 2, least=2),
    "negative_original_size": wholes(1, MAX_TOLD, 2, least=2),
    "negative_crop": wholes(0, MAX_TOLD, 2, least=2),
    "negative_target_size": wholes(1, MAX_TOLD, 2, least=2),
    "aesthetic": real(0, 10),
    "negative_aesthetic": real(0, 10),
    "model": named,
    "refiner": named,
    "refiner_at": real(0, 1),
    "vae": named,
    "text_encoders": names,
    "strength": real(0, 1),
    "fit": one_of(FITS),
    "mask_blur": whole(0, MAX_BLUR),
    "mask_fill": one_of(FILLS),
    "mask_padding": whole(0, MAX_PADDING),
    "mask_invert": flag,
    "upscale": one_number_of(UPSCALES),
    "upscaler": named,
}
# Fields that have no effect where another has its usual value, and are refused there.
SAYS_MORE_OF: Mapping[str, str] = {
    "pag_layers": "pag",
    "slg_layers": "slg",
    "slg_during": "slg",
    "variation_seed": "variation_strength",
    "seed_width": "seed_height",
    "seed_height": "seed_width",
    "strength": "image",
    "fit": "image",
    "mask": "image",
    "mask_blur": "mask",
    "mask_fill": "mask",
    "mask_padding": "mask",
    "mask_invert": "mask",
    "refiner_at": "refiner",
    "upscaler": "upscale",
}
