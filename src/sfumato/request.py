"""What a user can ask for: one frozen object, checked once, here, and then trusted everywhere.

A field that is None means "as the model likes it"; `sfumato.resolve` fills it in. After that the
request is complete, and every picture of it can be made again from its own `Request.single(i)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise

from sfumato.checks import came
from sfumato.embedding import Embedding
from sfumato.errors import RequestError
from sfumato.limits import CHECKS, MAX_SEED, MAX_SIZE, MAX_STEPS, NONE, OWN, SAYS_MORE_OF, SEEDS
from sfumato.numerics import DIFFERENCES, like, planned
from sfumato.source import Source

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """One wish for one or more pictures.

    Raises `RequestError` when a value has the wrong type or lies out of range, or when two values
    contradict each other. Names of samplers, schedules and models are only looked up later
    (`resolve`, and the engine), because those tables lie above this file.

    - `template`, `negative_template`: what the prompts were drawn from (`sfumato.templates`), for
      the record; they decide nothing.
    - `seed`, `path_seed`: 0 … 2^64-1. Picture i of a run has `seed + i` (and `path_seed + i`);
      a run whose last seed would pass 2^64-1 is refused rather than wrapped round.
    - `steps`: 1 … 1000. `guidance`: 0 … 100, 1 is none. `rescale`: 0 … 1.
    - `distilled`: 0 … 100, the strength of guidance that a distilled model takes as an input (Flux
      dev; Forge's "Distilled CFG Scale"). `guidance` above 1 then leads away from `negative` as
      well, and each step asks the network twice. Refused for other models.
    - `interval`: (low, high), noise levels; guidance acts where low < sigma <= high alone.
    - `guidance_rule`: "cfg"; "zero_star", which fits the negative output and lets the first
      `zero_steps` (0 … 1000) rest; or "apg", which leaves the share `apg_along` (0 … 1) of the
      difference along the picture, and shortens it to `apg_longest` (0 … 1000, 0 is any).
    - `pag`: 0 … 100, perturbed-attention guidance: how far to lead away from what the network gives
      when in `pag_layers` no place of the picture sees another; 0 is not at all, 3 usual. Layers
      are counted from 0 in the order in which they run; None are the model's usual ones. `slg`,
      `slg_layers`: the same with layers left out, during that part of the schedule's steps which
      `slg_during` names, (from, to) of 0 … 1. Either asks the network once more at each step where
      it acts, and both are refused for networks without such layers.
    - `threshold`: what holds an estimate that strong guidance made too large: "none"; "mimic",
      whose range is that of the guidance `mimic_scale` (0 … 100), above the `mimic_quantile`
      (0.5 … 1) of its values clipped ("dynamic thresholding", "CFG scale fix"); or "imagen", which
      clips it at its own `imagen_quantile` and draws it into ± `imagen_limit` (0.1 … 100).
    - `sigmas`: own noise levels in place of a schedule and a number of steps, from high to low.
    - `shift`: 0.01 … 100, how far a flow's noise levels are moved towards noise; above 1 more steps
      are spent there. None is the model's own: 1, 3 for Stable Diffusion 3, by the size for Flux
      dev. Refused for other models, and beside levels that it does not move.
    - `width`, `height`: pixels, multiples of 8, 8 … 8192. `count`: 1 … 1000.
    - `wander`: the starting noise stays with `seed`, the noise of the steps follows `path_seed`.
    - `variation_strength`: 0 … 1, how far the starting noise is turned from that of `seed` towards
      that of `variation_seed`. Above 0 the pictures of a run are variations of one, as in A1111:
      picture i has `variation_seed + i`, and `seed` stays. At 0 it is the picture of `seed`.
    - `seed_width`, `seed_height`: pixels, both or none; the starting noise of a picture of this
      size is set into the middle of this one's, so that the composition stays ("resize seed from").
    - `like`: the tool whose numerics fill those of the next fields that are None: see
      `sfumato.numerics`, also for their meaning.
    - `stream`: where noise comes from; "cpu" is torch's CPU stream, "nv" that of NVIDIA cards.
      `step_noise`: whether the steps' noise goes on in it ("continued") or has a stream of its
      "own". `sde_noise`: whether SDE samplers draw for each of the "steps", or follow one
      "brownian" path. `first_noise`: how the first noise is scaled.
    - `whole_times`: the network hears whole times only. `discard_penultimate`: one step more is
      planned, and the lowest level above 0 left out.
    - `strength_steps`: of the steps, `strength` makes a "share", one "extra", or "all".
    - `weighting`: by whose rule the brackets of a prompt weigh its words: AUTOMATIC1111's, or
      ComfyUI's; "plain" takes them for letters. `rounding`: how pixels become 8 bits.
    - `empty_negative`: what SDXL hears in place of no negative prompt. `t5_padding`: to how many
      tokens T5's are padded. `fixed_shift`: Flux dev's `shift` is the same for every size.
    - `clip_skip`: 1 … 12, which layer of CLIP is heard, as A1111 counts: 1 is the one that the
      model was published with, 2 the one before it. Models that hear but one refuse more than 1.
    - `embeddings`: the learnt words that are heard where a prompt names them; () for none. None
      for each that is named and lies in a folder of embeddings.
    - `original_size`, `crop`, `target_size`: what SDXL is told of the picture, in pixels 0 … 16384:
      (width, height) that it had before it was made smaller, (left, top) that were then cut off,
      (width, height) that are wanted. None is the picture's own size; `negative_…` is what is told
      beside the negative prompt, None the same. `aesthetic`, `negative_aesthetic`: 0 … 10, how
      much the picture was liked, which the refiner is told in place of `target_size`.
    - `refiner`: another model that takes over at `refiner_at` (0 … 1) of the time from noise to
      picture, as A1111 and diffusers measure it, within one run of the sampler.
    - `vae`, `text_encoders`: parts of the model that come from files of their own, in place of what
      the model's own file holds, or because it holds none; T5's vocabulary is one of the latter.
    - `image`: a picture to start from; `strength` says how much of it is made anew, from 0 (none,
      and therefore refused) to 1. Of the steps that share, rounded down, is really made.
    - `fit`: a picture of another shape is cut at two sides ("crop"), drawn out ("stretch"), or gets
      margins of its own edge ("pad").
    - `mask`: what is white in it is painted anew, the rest of `image` stays. `mask_blur`: pixels,
      0 … 256, over which one goes over into the other; `mask_fill`: what the painting starts from;
      `mask_padding`: only the mask's surroundings, with so many pixels (0 … 1024) of context, are
      painted, at full size, and set back; None paints the whole. `mask_invert` swaps both.
    - `upscale`: 2 or 4: the finished picture, laid back where there is a mask, is made so many
      times as wide and high by a network, up to 8192 pixels a side; None leaves it. `upscaler`
      is the file of another network than the bundled one.
    """

    prompt: str = ""
    negative: str = ""
    template: str = ""
    negative_template: str = ""
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    rescale: float = 0.0
    distilled: float | None = None
    interval: tuple[float, float] | None = None
    guidance_rule: str = "cfg"
    apg_along: float = 0.0
    apg_longest: float = 15.0
    zero_steps: int = 1
    pag: float = 0.0
    pag_layers: tuple[int, ...] | None = None
    slg: float = 0.0
    slg_layers: tuple[int, ...] | None = None
    slg_during: tuple[float, float] = (0.01, 0.2)
    threshold: str = "none"
    mimic_scale: float = 7.0
    mimic_quantile: float = 1.0
    imagen_quantile: float = 0.995
    imagen_limit: float = 1.0
    sampler: str | None = None
    schedule: str | None = None
    sigmas: tuple[float, ...] | None = None
    shift: float | None = None
    width: int | None = None
    height: int | None = None
    count: int = 1
    wander: bool = False
    path_seed: int | None = None
    variation_seed: int | None = None
    variation_strength: float | None = None
    seed_width: int | None = None
    seed_height: int | None = None
    like: str = "sfumato"
    stream: str | None = None
    step_noise: str | None = None
    sde_noise: str | None = None
    first_noise: str | None = None
    whole_times: bool | None = None
    discard_penultimate: bool | None = None
    strength_steps: str | None = None
    weighting: str | None = None
    empty_negative: str | None = None
    t5_padding: str | None = None
    fixed_shift: bool | None = None
    rounding: str | None = None
    clip_skip: int = 1
    embeddings: tuple[Embedding, ...] | None = None
    original_size: tuple[int, int] | None = None
    crop: tuple[int, int] = (0, 0)
    target_size: tuple[int, int] | None = None
    negative_original_size: tuple[int, int] | None = None
    negative_crop: tuple[int, int] | None = None
    negative_target_size: tuple[int, int] | None = None
    aesthetic: float = 6.0
    negative_aesthetic: float = 2.5
    model: str | None = None
    refiner: str | None = None
    refiner_at: float | None = None
    vae: str | None = None
    text_encoders: tuple[str, ...] = ()
    image: Source | None = None
    strength: float | None = None
    fit: str = "crop"
    mask: Source | None = None
    mask_blur: int = 4
    mask_fill: str = "original"
    mask_padding: int | None = None
    mask_invert: bool = False
    upscale: int | None = None
    upscaler: str | None = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value, check = getattr(self, f.name), CHECKS.get(f.name)
            if check is not None and not (value is None and f.default is None):
                object.__setattr__(self, f.name, check(f.name, value))
        for name in self.counting:
            _last_seed(name, getattr(self, name), self.count)
        if self.path_seed is not None and not self.wander:
            raise RequestError(
                f"path_seed {self.path_seed} has no effect without wander; "
                "ask for wander too, or leave it out."
            )
        self._check_sigmas()
        self._check_start()
        self._check_use()
        self._check_guidance()
        self._check_upscale()

    def _check_start(self) -> None:
        """The fields of a picture to start from, and that none of them is there without it."""
        for name, mode in (("image", "RGB"), ("mask", "L")):
            source = getattr(self, name)
            if source is not None and not (isinstance(source, Source) and source.mode == mode):
                raise RequestError(f"{name} is {came(source)}, but must be a Source ({mode}).")
        if self.discard_penultimate and self.steps == MAX_STEPS:
            raise RequestError(
                f"discard_penultimate plans one step more than the {self.steps} of steps, which "
                f"are the most; take {MAX_STEPS - 1}, or leave it out."
            )
        if self.strength == 0:
            raise RequestError("strength is 0, which would change nothing; give more than 0.")
        self._check_shapes()
        if self.steps is not None and self.strength is not None:
            self._check_strength(self.steps, self.strength)

    def _check_strength(self, steps: int, strength: float) -> None:
        """That a start from a picture makes steps, and plans no more than can be."""
        if self.run_steps == 0:
            least = math.ceil(10_000 / steps) / 10_000  # rounded up: 0.3333 of 3 is none
            raise RequestError(
                f"strength is {strength:g}, which makes none of {steps} steps; "
                f"give {least:g} at the least, or more steps."
            )
        if self.schedule_steps > MAX_STEPS:
            raise RequestError(
                f"strength is {strength:g}, for which {steps} steps would be the last of "
                f"{self.schedule_steps}; {MAX_STEPS} is the most. Give more strength, fewer steps, "
                "or another strength_steps."
            )

    def _check_shapes(self) -> None:
        """That the mask has the picture's shape, to a pixel, if perhaps another size."""
        if self.image is None or self.mask is None:
            return
        width, height = self.image.width, self.image.height
        w, h = self.mask.width, self.mask.height
        if abs(w * height - h * width) > max(width, height, w, h):
            raise RequestError(
                f"mask has {w}x{h} pixels and image {width}x{height}; "
                "give a mask of the picture's shape."
            )

    def _check_guidance(self) -> None:
        """That the numbers of a way belong to it, and that an interval is one."""
        usual = {f.name: f.default for f in fields(self)}
        for name, (chooser, way) in OWN.items():
            if getattr(self, name) != usual[name] and getattr(self, chooser) != way:
                raise RequestError(
                    f"{name} has no effect without {chooser} {way}; "
                    f"ask for that too, or leave {name} out."
                )
        for name in ("pag_layers", "slg_layers"):
            layers = getattr(self, name)
            if layers is not None:
                object.__setattr__(self, name, tuple(sorted(set(layers))))
        if len(self.slg_during) != 2 or self.slg_during[0] >= self.slg_during[1]:
            raise RequestError(
                f"slg_during is {self.slg_during}, but must be two parts of the steps, of 0 to 1, "
                "the earlier one first."
            )
        if self.interval is not None and not (
            len(self.interval) == 2 and self.interval[0] < self.interval[1]
        ):
            raise RequestError(
                f"interval is {self.interval}, but must be two noise levels, the lower one first."
            )

    def _check_sigmas(self) -> None:
        """That own levels fall, and stand in place of a schedule and a number of steps."""
        if self.sigmas is None:
            return
        levels = self.sigmas[:-1] if self.sigmas[-1] == 0 else self.sigmas
        if not levels or any(after >= now for now, after in pairwise((*levels, 0.0))):
            raise RequestError("sigmas must fall from number to number, and end at or above 0.")
        object.__setattr__(self, "sigmas", levels)
        if self.schedule is not None:
            raise RequestError("schedule has no effect beside sigmas; leave one of them out.")
        if self.shift is not None:
            raise RequestError("shift has no effect beside sigmas; leave one of them out.")
        if self.steps is None:
            object.__setattr__(self, "steps", len(levels))
        elif self.steps != len(levels):
            raise RequestError(
                f"steps is {self.steps}, but sigmas are {len(levels)} steps; leave steps out."
            )
        if self.discard_penultimate:
            raise RequestError("discard_penultimate has no effect beside sigmas; leave it out.")
        if self.strength is not None and self.schedule_steps != len(levels):
            raise RequestError(
                f"strength {self.strength:g} takes the last of more steps than sigmas has; "
                "give strength 1, or another strength_steps."
            )

    def _check_use(self) -> None:
        """That no field is given which says more about another that is not."""
        usual = {f.name: f.default for f in fields(self)}
        for name, needed in SAYS_MORE_OF.items():
            if getattr(self, name) != usual[name] and getattr(self, needed) == usual[needed]:
                raise RequestError(
                    f"{name} has no effect without {needed}; give one, or leave {name} out."
                )

    def _check_upscale(self) -> None:
        """That what comes of it is no larger than any picture, as far as its size is known."""
        if self.upscale is not None and max(self.finished) > MAX_SIZE:
            width, height = (side // self.upscale for side in self.finished)
            raise RequestError(
                f"upscale is {self.upscale}, which makes {self.finished[0]}x{self.finished[1]} of "
                f"{width}x{height}, but a picture may have {MAX_SIZE} pixels a side at the most."
            )

    @property
    def finished(self) -> tuple[int, int]:
        """Width and height of the finished picture; 0 for a side that is still open."""
        width, height = self.width or 0, self.height or 0
        if self.image is not None and self.mask_padding is not None:
            width, height = self.image.width, self.image.height
        factor = 1 if self.upscale is None else self.upscale
        return width * factor, height * factor

    @property
    def resolved(self) -> bool:
        """Whether nothing is left for a model or a die to decide."""
        optional = {*NONE, "distilled"}
        optional |= set() if self.sigmas is None else {"schedule"}
        optional |= set() if self.refiner else {"refiner_at"}
        optional |= set() if self.pag else {"pag_layers"}
        optional |= set() if self.slg else {"slg_layers"}
        optional |= set() if self.wander else {"path_seed"}
        optional |= set() if self.variation_strength is not None else {"variation_seed"}
        optional |= set() if self.image is not None else {"strength"}
        optional |= set() if self.upscale is not None else {"upscaler"}
        return all(
            getattr(self, f.name) is not None for f in fields(self) if f.name not in optional
        )

    @property
    def counting(self) -> tuple[str, ...]:
        """The seeds that are higher by one in each picture of a run; the others stay."""
        varies = self.variation_strength is not None and self.variation_strength > 0
        return tuple(name for name in SEEDS if not (varies and name == "seed"))

    @property
    def brackets(self) -> str:
        """The `weighting`, or where that is open the one of the tool that this is like."""
        return self.weighting or like(self.like).weighting

    @property
    def run_steps(self) -> int:
        """How many steps are really made: from a picture, as many as `strength` says."""
        return self._planned[1]

    @property
    def schedule_steps(self) -> int:
        """How many steps the levels are planned for, of which the last `run_steps` are made."""
        return self._planned[0]

    @property
    def _planned(self) -> tuple[int, int]:
        assert self.steps is not None
        if self.strength is None:
            return self.steps, self.steps
        rule = (
            like(self.like).strength_steps if self.strength_steps is None else self.strength_steps
        )
        return planned(rule, self.steps, self.strength)

    @property
    def references(self) -> Request:
        """The same with its pictures' references alone, as recipes and queues keep it."""
        image = None if self.image is None else self.image.reference
        mask = None if self.mask is None else self.mask.reference
        return replace(self, image=image, mask=mask)

    def changed(self, changes: Mapping[str, object], typed: Collection[str] = ()) -> Request:
        """The same wish with other values; what had followed from a changed one is open again.

        Another `like` opens all that it fills, another `sampler` what is as `like` had it for the
        one before, and another `wander` its path; with what is taken away goes what says more of
        it. The fields `typed` did not follow: somebody asked for them, so they stay wherever they
        have an effect.
        """
        opened: dict[str, object] = {}
        if "like" in changes:
            opened |= dict.fromkeys(each.field for each in DIFFERENCES)
        elif "sampler" in changes and self.sampler is not None:
            like_had = like(self.like).under(self.sampler)
            names = ("whole_times", "discard_penultimate")
            opened |= {name: None for name in names if getattr(self, name) == like_had[name]}
        if "wander" in changes:
            opened["path_seed"] = None
        if changes.get("sigmas") is not None:
            opened |= {"steps": None, "schedule": None, "shift": None}
        elif self.sigmas is not None and not changes.keys().isdisjoint({"steps", "schedule"}):
            opened |= {"sigmas": None, "steps": None}
        idle = {
            name for name, (of, way) in OWN.items() if changes.get(of, getattr(self, of)) != way
        }
        idle |= set() if changes.get("wander", self.wander) else {"path_seed"}
        usual = {f.name: f.default for f in fields(self)}
        opened |= {name: usual[name] for name, (chooser, _) in OWN.items() if chooser in changes}
        gone = {k for k, of in SAYS_MORE_OF.items() if of in changes and changes[of] == usual[of]}
        opened |= {name: usual[name] for name in gone}
        idle |= gone
        follows = {k: v for k, v in opened.items() if k not in typed or k in idle}
        values = {**follows, **changes}
        return replace(self, **values)  # pyright: ignore[reportArgumentType] - Request checks

    def seeded(self, draw_seed: Callable[[], int]) -> Request:
        """The same with every seed drawn that is open: its own, a wander's, a variation's."""
        needed = ["seed"]
        needed += ["path_seed"] if self.wander else []
        needed += [] if self.variation_strength is None else ["variation_seed"]
        open_ones = (name for name in needed if getattr(self, name) is None)
        return replace(self, **{name: _drawn(draw_seed, self.count) for name in open_ones})

    def single(self, index: int) -> Request:
        """The request for picture `index` (from 0) alone: its seeds higher by index, count 1.

        Where the pictures are variations of one, that one's `seed` stays (`counting`).
        Run by itself it makes the same picture, to the bit, on the same machine.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"picture {index} of a request for {self.count}")
        given = {name: getattr(self, name) for name in self.counting}
        seeds = {name: seed + index for name, seed in given.items() if seed is not None}
        return replace(self, **seeds, count=1)


def _drawn(draw_seed: Callable[[], int], count: int) -> int:
    """A fresh seed, low enough that the last picture's seed is still a seed."""
    return min(draw_seed(), MAX_SEED - (count - 1))


def _last_seed(name: str, seed: int | None, count: int) -> None:
    """Refuses a run that would pass the last seed."""
    if seed is not None and seed + count - 1 > MAX_SEED:
        raise RequestError(
            f"{name} {seed} with count {count} would pass the last seed, 2^64-1; "
            f"take at most {MAX_SEED - count + 1}."
        )
