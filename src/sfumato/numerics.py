"""In which numbers the tools differ, so that one may paint like another; needs no torch.

Each field of `Numerics` is one difference, and `LIKE` holds what each tool does with its settings
as it comes. `DIFFERENCES` tells what a field means and where that was read. A request may set each
by itself, and a recipe names every one, for "like comfy" will mean another thing when ComfyUI
changes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from sfumato.errors import RequestError

__all__ = [
    "CHOICES",
    "DIFFERENCES",
    "LIKE",
    "Difference",
    "Numerics",
    "first_scale",
    "like",
    "planned",
]

_MULTISTEP = frozenset(
    {"ddim", "ddpm", "deis", "dpmpp_2m", "dpmpp_2m_sde", "lcm", "plms", "tcd", "unipc", "unipc_bh1"}
)


@dataclass(frozen=True)
class Numerics:
    """What a tool does where tools differ; `DIFFERENCES` tells each field's meaning and source."""

    stream: Literal["cpu", "nv"]
    step_noise: Literal["continued", "own"]
    sde_noise: Literal["steps", "brownian"]
    first_noise: Literal["sigma", "variance", "variance_alone"]
    whole_times: frozenset[str] | None
    discard_penultimate: frozenset[str]
    strength_steps: Literal["share", "extra", "all"]
    weighting: Literal["a1111", "comfy", "plain"]
    empty_negative: Literal["zeros", "all_zeros", "words"]
    t5_padding: Literal["long", "clip", "short"]
    fixed_shift: bool
    rounding: Literal["round", "truncate"]

    def under(self, sampler: str) -> dict[str, str | bool]:
        """Every field by its name, as it is under this sampler (canonical name)."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["whole_times"] = self.whole_times is None or sampler in self.whole_times
        values["discard_penultimate"] = sampler in self.discard_penultimate
        return values


CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "stream": ("cpu", "nv"),
        "step_noise": ("continued", "own"),
        "sde_noise": ("steps", "brownian"),
        "first_noise": ("sigma", "variance", "variance_alone"),
        "strength_steps": ("share", "extra", "all"),
        "weighting": ("a1111", "comfy", "plain"),
        "empty_negative": ("zeros", "all_zeros", "words"),
        "t5_padding": ("long", "clip", "short"),
        "rounding": ("round", "truncate"),
    }
)
"""The ways of each difference; those that are not here are yes or no."""


@dataclass(frozen=True)
class Difference:
    """One field of `Numerics`: its meaning, and where the tools' ways were read."""

    field: str
    meaning: str
    source: str


DIFFERENCES = (
    Difference(
        "stream",
        "Where noise comes from: torch's CPU stream, or that of NVIDIA cards.",
        "A1111 modules/rng.py and its setting randn_source (GPU); ComfyUI comfy/sample.py, "
        "prepare_noise; diffusers utils/torch_utils.py, randn_tensor with a CPU generator",
    ),
    Difference(
        "step_noise",
        "Whether the steps' noise goes on in the stream of the first noise, or is a stream of its "
        "own, of seed + 1.",
        "ComfyUI comfy/k_diffusion/sampling.py, default_noise_sampler (on a CPU)",
    ),
    Difference(
        "sde_noise",
        "Whether SDE samplers draw for each step, or follow one Brownian path per seed. Theirs is "
        "torchsde's tree, whose numbers are other than ours: alike in kind, not to the bit.",
        "k-diffusion sampling.py, BrownianTreeNoiseSampler; diffusers "
        "scheduling_dpmsolver_multistep.py, step",
    ),
    Difference(
        "first_noise",
        "By what the first noise is multiplied: sigma, or sqrt(1 + sigma^2), the deviation of a "
        "noised picture of variance 1; that where a run begins at pure noise, or where the noise "
        "stands alone, without a picture.",
        "A1111 modules/sd_samplers_kdiffusion.py, sample, setting sgm_noise_multiplier (off); "
        "ComfyUI comfy/model_sampling.py, EPS.noise_scaling; diffusers "
        "scheduling_euler_discrete.py, init_noise_sigma (with SD's leading timesteps)",
    ),
    Difference(
        "whole_times",
        "Whether the network hears times rounded to whole numbers; for flows none rounds.",
        "ComfyUI comfy/model_sampling.py, ModelSamplingDiscrete.timestep; A1111's setting "
        "enable_quantization (off); diffusers' round() in set_timesteps",
    ),
    Difference(
        "discard_penultimate",
        "Whether one step more is planned, and the lowest level above 0 left out.",
        "A1111 modules/sd_samplers_kdiffusion.py, discard_next_to_last_sigma; ComfyUI "
        "comfy/samplers.py, DISCARD_PENULTIMATE_SIGMA_SAMPLERS",
    ),
    Difference(
        "strength_steps",
        "How many steps a run from a picture makes: the share of them that strength says, one "
        "more than that, or all of them, at the lower levels of a longer schedule.",
        "diffusers pipeline_stable_diffusion_img2img.py, get_timesteps; A1111 "
        "modules/sd_samplers_common.py, setup_img2img_steps; ComfyUI comfy/samplers.py, "
        "KSampler.set_steps",
    ),
    Difference(
        "weighting",
        "By whose rule brackets weigh a prompt's words.",
        "A1111 modules/sd_emphasis.py; ComfyUI comfy/sd1_clip.py, ClipTokenWeightEncoder; "
        "diffusers reads no brackets",
    ),
    Difference(
        "empty_negative",
        "What SDXL hears where there is no negative prompt: zeros, zeros in its refiner too, or "
        "an empty prompt's words, read like any other's.",
        "A1111 modules/sd_models_xl.py, force_zero_negative_prompt; ComfyUI nodes.py, "
        "CLIPTextEncode; diffusers pipeline_stable_diffusion_xl.py, force_zeros_for_empty_prompt "
        "(false in the refiner's model_index.json)",
    ),
    Difference(
        "t5_padding",
        "To how many tokens T5's are padded at least: as in training (256 for SD 3 and Flux "
        "schnell, 512 for Flux dev); to as many as CLIP's for SD 3, and 256 for Flux; or to 77 and "
        "256, and to none where SD 3 is without its T5. A1111 also cuts what is longer than "
        "CLIP's; here it is heard.",
        "diffusers pipeline_stable_diffusion_3.py and pipeline_flux.py, max_sequence_length; A1111 "
        "modules/models/sd3/sd3_cond.py, Sd3T5; Forge backend/text_processing/t5_engine.py; "
        "ComfyUI comfy/text_encoders/sd3_clip.py and flux.py, min_length",
    ),
    Difference(
        "fixed_shift",
        "Whether Flux dev's levels are those of 1024x1024 pixels at any size.",
        "ComfyUI comfy/model_sampling.py, ModelSamplingFlux; Forge "
        "backend/modules/k_prediction.py, PredictionFlux; diffusers pipeline_flux.py, "
        "calculate_shift",
    ),
    Difference(
        "rounding",
        "How pixels become 8 bits: to the nearest level, or down.",
        "A1111 modules/processing.py and ComfyUI nodes.py, astype(np.uint8); diffusers "
        "image_processor.py, numpy_to_pil",
    ),
)

LIKE: Mapping[str, Numerics] = MappingProxyType(
    {
        "sfumato": Numerics(
            stream="cpu",
            step_noise="continued",
            sde_noise="steps",
            first_noise="sigma",
            whole_times=frozenset(),
            discard_penultimate=frozenset(),
            strength_steps="share",
            weighting="a1111",
            empty_negative="zeros",
            t5_padding="long",
            fixed_shift=False,
            rounding="round",
        ),
        "a1111": Numerics(
            stream="nv",
            step_noise="continued",
            sde_noise="brownian",
            first_noise="sigma",
            whole_times=frozenset(),
            discard_penultimate=frozenset({"dpm2", "dpm2_ancestral"}),
            strength_steps="extra",
            weighting="a1111",
            empty_negative="all_zeros",
            t5_padding="clip",
            fixed_shift=True,
            rounding="truncate",
        ),
        "comfy": Numerics(
            stream="cpu",
            step_noise="own",
            sde_noise="brownian",
            first_noise="variance",
            whole_times=None,
            discard_penultimate=frozenset({"dpm2", "dpm2_ancestral", "unipc", "unipc_bh1"}),
            strength_steps="all",
            weighting="comfy",
            empty_negative="words",
            t5_padding="short",
            fixed_shift=True,
            rounding="truncate",
        ),
        "diffusers": Numerics(
            stream="cpu",
            step_noise="continued",
            sde_noise="steps",
            first_noise="variance_alone",
            whole_times=_MULTISTEP,
            discard_penultimate=frozenset(),
            strength_steps="share",
            weighting="plain",
            empty_negative="zeros",
            t5_padding="long",
            fixed_shift=False,
            rounding="round",
        ),
    }
)
"""What each tool does as it comes; "sfumato" is what is done without asking for another."""


def like(name: str) -> Numerics:
    """The numerics of a tool. Raises RequestError for a name that is not in `LIKE`."""
    found = LIKE.get(name.strip().casefold())
    if found is None:
        raise RequestError(f"there is no tool {name!r} to be like; known: {', '.join(LIKE)}")
    return found


def first_scale(
    rule: str, sigma: float, alpha: float, *, sigma_max: float, alone: bool = True
) -> float:
    """What the first noise is multiplied by at the level sigma: x = alpha clean + this noise.

    rule: `Numerics.first_noise`. alone: whether clean is 0, for there is no picture.
    "variance" is sqrt(alpha^2 + sigma^2) at pure noise, which ComfyUI tells by a relative distance
    of 1e-5 from sigma_max. On a flow, whose alpha is 0 there, it is the same as sigma.
    """
    top = math.isclose(sigma, sigma_max, rel_tol=1e-5) or sigma > sigma_max
    wide = (rule == "variance" and top) or (rule == "variance_alone" and alone)
    return math.hypot(alpha, sigma) if wide else sigma


def planned(rule: str, steps: int, strength: float) -> tuple[int, int]:
    """(steps of the whole schedule, how many of its last are made) from a picture.

    rule: `Numerics.strength_steps`. steps: 1 to 1000, those asked for. strength: above 0, to 1.
    "share" may make none, and has an allowance for 0.29 * 100, which is 28.999999999999996; the
    tools have none.
    """
    if rule == "all":
        return (steps, steps) if strength > 0.9999 else (int(steps / strength), steps)
    if rule == "extra":
        return steps, int(min(strength, 0.999) * steps) + 1
    return steps, math.floor(steps * strength + 1e-9)
