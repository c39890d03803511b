"""In which numbers the tools differ, so that one may paint like another; needs no torch.

Each field of `Numerics` is one difference, and `LIKE` holds what each tool does with its settings
as it comes. `DIFFERENCES` tells what a field means and where that was read. A recipe names every
field by itself, for "like comfy" will mean another thing when ComfyUI changes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sfumato.errors import RequestError

_MULTISTEP = frozenset(
    {"ddim", "ddpm", "deis", "dpmpp_2m", "dpmpp_2m_sde", "lcm", "plms", "tcd", "unipc", "unipc_bh1"}
)


@dataclass(frozen=True)
class Numerics:
    """What a tool does where tools differ; `DIFFERENCES` tells each field's meaning and source."""

    stream: Literal["cpu", "nv"]
    step_noise: Literal["continued", "own"]
    sde_noise: Literal["steps", "brownian"]
    first: Literal["sigma", "variance"]
    whole_times: frozenset[str] | None
    discard: frozenset[str]
    strength: Literal["share", "one more", "all"]
    weighting: Literal["a1111", "comfy", "plain"]
    rounding: Literal["round", "truncate"]


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
        "first",
        "By what the first noise is multiplied where a run begins at pure noise: sigma, or "
        "sqrt(1 + sigma^2), the deviation of a noised picture of variance 1.",
        "A1111 modules/sd_samplers_kdiffusion.py, sample, setting sgm_noise_multiplier (off); "
        "ComfyUI comfy/model_sampling.py, EPS.noise_scaling; diffusers "
        "scheduling_euler_discrete.py, init_noise_sigma (with SD's leading timesteps)",
    ),
    Difference(
        "whole_times",
        "The samplers whose network times are rounded to whole numbers; None means all.",
        "ComfyUI comfy/model_sampling.py, ModelSamplingDiscrete.timestep; A1111's setting "
        "enable_quantization (off); diffusers' round() in set_timesteps",
    ),
    Difference(
        "discard",
        "The samplers that plan one step more and leave out the lowest level above 0.",
        "A1111 modules/sd_samplers_kdiffusion.py, discard_next_to_last_sigma; ComfyUI "
        "comfy/samplers.py, DISCARD_PENULTIMATE_SIGMA_SAMPLERS",
    ),
    Difference(
        "strength",
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
            first="sigma",
            whole_times=frozenset(),
            discard=frozenset(),
            strength="share",
            weighting="a1111",
            rounding="round",
        ),
        "a1111": Numerics(
            stream="nv",
            step_noise="continued",
            sde_noise="brownian",
            first="sigma",
            whole_times=frozenset(),
            discard=frozenset({"dpm2", "dpm2_ancestral"}),
            strength="one more",
            weighting="a1111",
            rounding="truncate",
        ),
        "comfy": Numerics(
            stream="cpu",
            step_noise="own",
            sde_noise="brownian",
            first="variance",
            whole_times=None,
            discard=frozenset({"dpm2", "dpm2_ancestral", "unipc", "unipc_bh1"}),
            strength="all",
            weighting="comfy",
            rounding="truncate",
        ),
        "diffusers": Numerics(
            stream="cpu",
            step_noise="continued",
            sde_noise="steps",
            first="variance",
            whole_times=_MULTISTEP,
            discard=frozenset(),
            strength="share",
            weighting="plain",
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


def first_scale(numerics: Numerics, sigma: float, alpha: float, sigma_max: float) -> float:
    """What the first noise is multiplied by at the level sigma: x = alpha clean + this noise.

    "variance" is sqrt(alpha^2 + sigma^2), and only where the run begins at pure noise, with a
    clean latent of 0; ComfyUI tells that by a relative distance of 1e-5 from sigma_max. It is for
    eps and v models: on a flow, whose alpha is 0 there, both are the same.
    """
    whole = math.isclose(sigma, sigma_max, rel_tol=1e-5) or sigma > sigma_max
    return math.hypot(alpha, sigma) if numerics.first == "variance" and whole else sigma


def rounds_time(numerics: Numerics, sampler: str) -> bool:
    """Whether the network hears whole times under this sampler (canonical name)."""
    return numerics.whole_times is None or sampler in numerics.whole_times


def discards(numerics: Numerics, sampler: str) -> bool:
    """Whether this sampler (canonical name) plans one step more, for `without_next_to_last`."""
    return sampler in numerics.discard


def without_next_to_last(levels: Sequence[float]) -> list[float]:
    """The levels of n + 1 steps, which end at 0, as those of n: the lowest above 0 left out."""
    return [*levels[:-2], levels[-1]]


def planned(numerics: Numerics, steps: int, strength: float) -> tuple[int, int]:
    """(steps of the whole schedule, how many of its last are made) from a picture.

    steps: 1 to 1000, those asked for. strength: above 0, to 1. At least one step is made.
    "share" has an allowance for 0.29 * 100, which is 28.999999999999996; the tools have none.
    """
    if numerics.strength == "all":
        return (steps, steps) if strength > 0.9999 else (int(steps / strength), steps)
    if numerics.strength == "one more":
        return steps, int(min(strength, 0.999) * steps) + 1
    return steps, max(1, math.floor(steps * strength + 1e-9))
