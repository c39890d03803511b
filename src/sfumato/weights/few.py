"""Whether a model was distilled to paint in few steps: its keys, its settings or its name say so.

No shape shows it, but for one key, and such a model paints badly as another of its family is used.
What is told here changes what a request gets that does not say; whoever paints says so.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from sfumato.errors import WeightsError
from sfumato.resolve import Defaults
from sfumato.spec import ModelSpec, UNetConfig
from sfumato.weights.entries import Weights

__all__ = ["Few", "few_steps", "guided", "hurried"]

SCHEDULER = "scheduler/scheduler_config.json"
# The strength of guidance that an LCM takes as an input, where nobody says: its authors' own
# (SimianLuo/LCM_Dreamshaper_v7, the model's card).
LCM_GUIDANCE = 8.0
SIDE_OF_TURBO = 512  # pixels, of SDXL Turbo alone among the models of its shapes


@dataclass(frozen=True, slots=True)
class Few:
    """How a model of few steps likes to be used, and why it is taken for one.

    `kind` is the distillation's name. `sampler` and `schedule` are canonical names, `side` is of
    its pictures in pixels, `distilled` the guidance that it takes as an input; each None is as in
    its family.
    """

    kind: str
    because: str
    steps: int
    sampler: str
    schedule: str
    side: int | None = None
    distilled: float | None = None

    @property
    def told(self) -> str:
        """Both in words: what it is, by which evidence, and what follows."""
        side = "" if self.side is None else f", {self.side}x{self.side}"
        own = "" if self.distilled is None else f", distilled {self.distilled:g}"
        return (
            f"{self.kind}, for few steps ({self.because}): {self.steps} steps, guidance 1{own}, "
            f"sampler {self.sampler}, schedule {self.schedule}{side}, where nothing else is asked "
            "for"
        )

    def defaults(self, usual: Defaults) -> Defaults:
        """The defaults of its family, with its own in place of them."""
        return replace(
            usual,
            steps=self.steps,
            guidance=1.0,
            sampler=self.sampler,
            schedule=self.schedule,
            width=self.side or usual.width,
            height=self.side or usual.height,
            distilled=self.distilled,
        )


def hurried(spec: ModelSpec, few: Few | None) -> ModelSpec:
    """The description of a model that was distilled for few steps, if it was."""
    return spec if few is None else replace(spec, defaults=few.defaults(spec.defaults))


@dataclass(frozen=True, slots=True)
class _Kind:
    """One distillation: by which word in a name it is known, and how it was published to be used.

    `scheduler` is the class of diffusers' that is for it alone.
    """

    name: str
    word: re.Pattern[str]
    steps: int
    sampler: str
    schedule: str
    scheduler: str = ""


# A word of its own, or one that begins with a capital: "sdxl_lcm", "dreamshaperLCM".
_OWN = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{})(?![a-z])"
# `simple` is the spacing that diffusers calls "trailing", on which all but LCM were distilled.
KINDS = (
    # Luo et al. 2023 (arXiv:2310.04378): "2 to 8 steps" of their cards, 4 in their examples.
    _Kind("LCM", re.compile(_OWN.format("lcm")), 4, "lcm", "lcm", "LCMScheduler"),
    _Kind("TCD", re.compile(_OWN.format("tcd")), 4, "tcd", "simple", "TCDScheduler"),
    # Yin et al. 2024 (arXiv:2405.14867); its card takes LCM's sampler at 999, 749, 499, 249.
    _Kind("DMD2", re.compile(_OWN.format("dmd2")), 4, "lcm", "simple"),
    # Lin et al. 2024 (arXiv:2402.13929): the number of steps stands in the name of each file.
    _Kind("Lightning", re.compile("(?i:lightning)"), 4, "euler", "simple"),
    # Ren et al. 2024 (arXiv:2404.13686): likewise, with DDIM.
    _Kind("Hyper-SD", re.compile("(?i:hyper[-_ ]?sd)"), 8, "ddim", "simple"),
    # Sauer et al. 2023 (arXiv:2311.17042): 1 to 4 steps, of which 4 are preferred (its card).
    _Kind("Turbo", re.compile("(?i:turbo)"), 4, "euler_ancestral", "simple"),
)
_STEPS = re.compile(r"(?<!\d)([1-9]|[1-4]\d)[-_ ]?steps?(?![a-z])", re.IGNORECASE)
_X0 = re.compile(r"(?<![A-Za-z0-9])x0(?![A-Za-z0-9])")
_OF_TURBO = re.compile(r"sd_?xl[-_]turbo", re.IGNORECASE)
_SAMPLERS: Mapping[str, str] = {
    "EulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler_ancestral",
    "DDIMScheduler": "ddim",
    "LCMScheduler": "lcm",
    "TCDScheduler": "tcd",
}
# In the original layout too, for diffusers' own converter knows no other name for it.
_GUIDED = "time_embedding.cond_proj.weight"


def guided(weights: Weights) -> tuple[str, int] | None:
    """The key by which a U-Net takes its guidance as an input, and that embedding's width."""
    for lead in ("unet/", "model.diffusion_model.", ""):
        entry = weights.entries.get(lead + _GUIDED)
        if entry is not None and len(entry.shape) == 2:
            return lead + _GUIDED, entry.shape[1]
    return None


def few_steps(weights: Weights, spec: ModelSpec) -> Few | None:
    """How the model of these files wants to be used, if it was distilled for few steps.

    What its keys say comes first, then its settings, then what it is called. Raises WeightsError
    for one that predicts otherwise than any that is opened here.
    """
    flow = spec.process.kind == "flow"
    if flow and spec.family != "sd3":
        return None
    own = guided(weights)
    if own is not None and isinstance(spec.denoiser, UNetConfig):
        because = f"{own[0]}: its guidance is an input"
        return Few("LCM", because, 4, "lcm", "lcm", distilled=LCM_GUIDANCE)
    scheduler = _settings(weights, SCHEDULER)
    named = str(scheduler.get("_class_name", ""))
    for kind in KINDS:
        if kind.scheduler == named != "":
            return Few(kind.name, f"{SCHEDULER}: {named}", kind.steps, kind.sampler, kind.schedule)
    for where, name in _names(weights):
        kind = next((kind for kind in KINDS if kind.word.search(name)), None)
        if kind is None or (flow and kind.name != "Turbo"):
            continue
        if kind.name == "Lightning" and _X0.search(name) and _STEPS.search(name):
            raise WeightsError(
                f"{name} predicts the picture itself (x0), as its name says, and this version "
                "paints with models that predict noise, velocity or flow. Take the one of 2 steps."
            )
        return _by_name(kind, where, name, scheduler, spec)
    return None


def _by_name(
    kind: _Kind, where: str, name: str, scheduler: Mapping[str, object], spec: ModelSpec
) -> Few:
    steps, sampler = _STEPS.search(name), kind.sampler
    because = f'"{name}" is {where}'
    if scheduler.get("timestep_spacing") == "trailing":  # as such a model's folder has it
        sampler = _SAMPLERS.get(str(scheduler.get("_class_name")), sampler)
        because += f", and {SCHEDULER} says trailing"
    few = Few(
        kind.name,
        because,
        kind.steps if steps is None else int(steps[1]),
        "euler" if spec.process.kind == "flow" else sampler,
        spec.defaults.schedule if spec.process.kind == "flow" else kind.schedule,
    )
    small = kind.name == "Turbo" and spec.family == "sdxl" and _OF_TURBO.match(name)
    return replace(few, side=SIDE_OF_TURBO) if small else few


def _names(weights: Weights) -> Iterator[tuple[str, str]]:
    """What a model is called, each with where that is said: in its header, by its makers, here."""
    for key in ("modelspec.title", "unet/modelspec.title"):
        if title := weights.metadata.get(key):
            yield f"the {key} of its header", title[:200]
    for file in ("model_index.json", "unet/config.json"):
        origin = _settings(weights, file).get("_name_or_path")
        if isinstance(origin, str) and origin:
            yield f"the _name_or_path of {file}", origin.replace("\\", "/").rpartition("/")[2][:200]
    path = weights.path
    if path.parent.name == "snapshots":  # of huggingface_hub, whose folders are called by hashes
        path = path.parent.parent
    yield "its name", path.name


def _settings(weights: Weights, file: str) -> Mapping[str, object]:
    """One of a diffusers folder's small files; nothing where there is none that can be read."""
    try:
        found: object = json.loads(weights.metadata.get(file, "{}"))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}
