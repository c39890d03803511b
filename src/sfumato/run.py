"""A run: from a resolved request and a loaded model to pictures with their recipes, step by step.

What a step leaves behind lies here too: the state that a run goes on from, and the estimate that
becomes a picture later.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from importlib import metadata

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors import torch as safetensors

from sfumato.course import levels, process_of
from sfumato.diffusion.samplers import Step
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import PaintingError, RequestError, SfumatoError
from sfumato.familiar import strange
from sfumato.families.base import Family
from sfumato.hearing import taken
from sfumato.images import Canvas, to_images
from sfumato.pipeline import canvas_of, finish, generate
from sfumato.recipe import NUMERICS, Picture, Recipe, Result
from sfumato.request import Request
from sfumato.request_json import to_dict
from sfumato.upscale import Enlargement, Enlarger
from sfumato.weights.few import Few
from sfumato.weights.learnt import Learnt

__all__ = ["Loaded", "Progress", "Run", "developed"]


@dataclass(frozen=True)
class Loaded:
    """A model in memory: what a recipe calls it, the hash of its file, and its networks.

    ``parts`` are the sha256 of those of its parts that lie in files of their own, by their names;
    ``words`` those that it was trained with, where its file says so. ``absent`` are the parts that
    it can paint without, and does, for no file holds them. ``few`` is how it is used if it was
    distilled for few steps.
    """

    name: str
    sha256: str
    precision: str
    family: Family
    parts: Mapping[str, str] = field(default_factory=dict[str, str])
    words: frozenset[str] | None = None
    absent: tuple[str, ...] = ()
    few: Few | None = None


@dataclass(frozen=True)
class Progress:
    """One step of a run, counted from 1; ``sigma`` is the noise level that it ended at.

    Where the picture is made larger the last step is told several times: with ``upscaling``, so
    many tiles of so many, while that is done, and without it when the picture is finished.
    """

    index: int
    total: int
    sigma: float
    step: Step
    model: Family
    canvas: Canvas | None = None
    bond: str = ""
    rounding: str | None = None
    upscaling: tuple[int, int] | None = None

    def sketch(self) -> Image.Image:
        """The clean estimate as nearly its colours, a pixel for each element of the latent.

        Of what is painted: where that is the surroundings of a mask alone, of those.
        """
        (image,) = to_images(self.model.sketch(self.step.x0))
        return image

    def preview(self) -> list[Image.Image]:
        """The clean estimate at this step as a picture, decoded when asked for."""
        return [finish(self.model, self.canvas, self.step.x0, self.rounding)]

    def state(self) -> bytes:
        """All that a `Run` needs to go on after this step, as a .safetensors file."""
        tensors = {name: tensor.cpu() for name, tensor in self.step.tensors().items()}
        return safetensors.save(tensors, {"bond": self.bond})

    def estimate(self) -> bytes:
        """The clean estimate as `developed` takes it: a .safetensors file of float16."""
        return safetensors.save({"x0": self.step.x0.to("cpu", torch.float16).contiguous()})


class Run:
    """The making of a request's pictures: iterate its steps, or take the result at once.

    ``request`` is resolved: its seed drawn and its defaults filled in. Pictures are made one after
    the other, so that each is to the bit what its seed gives alone. ``enough`` stands around the
    work and tells memory that runs out; ``state`` is a `Progress.state` to go on from; ``learnt``
    are the files of the embeddings that the request hears; ``enlarger`` is its upscaler, and
    ``refiner`` the model that takes over.
    """

    def __init__(
        self,
        request: Request,
        model: Loaded,
        enough: Callable[[], AbstractContextManager[None]],
        state: bytes | None = None,
        learnt: tuple[Learnt, ...] = (),
        enlarger: Enlarger | None = None,
        refiner: Loaded | None = None,
    ) -> None:
        self.request, self.sha256 = request, model.sha256
        self.upscaler_sha256 = "" if enlarger is None else enlarger.sha256
        self._learnt, self._enlarger = learnt, enlarger
        self._refiner = None if refiner is None else refiner.family
        later = {} if refiner is None else {"refiner": refiner.sha256}
        self._parts = {**model.parts, **later}
        self._model, self._precision, self._enough = model, model.precision, enough
        self._pictures: list[Picture] = []
        self._seconds = 0.0
        self._start = None if state is None else self._stored(state)
        # The first picture is prepared now: what cannot be done is refused before any step.
        self._canvas = canvas_of(request)
        with self._enough():
            first = self._generate(request.single(0), self._start)
        self._steps = self._guarded(first)

    @property
    def recipe(self) -> Recipe:
        """What the first picture's recipe will say, but for the seconds."""
        return self._recipe(self.request.single(0), 0, 0.0)

    @property
    def strange(self) -> tuple[str, ...]:
        """The words of the prompt that the model was never shown, if its file says so."""
        return strange(self.request, self._model.words)

    @property
    def taken(self) -> tuple[str, ...]:
        """What the model takes the prompt for, where that calls it otherwise: by its own names."""
        with self._enough():
            return taken(self._model.family, self.request)

    @property
    def absent(self) -> tuple[str, ...]:
        """The readers of prompts that the model paints without, for no file holds them."""
        return self._model.absent

    @property
    def few(self) -> str | None:
        """That the model was distilled for few steps, and how it is used then, in words."""
        return None if self._model.few is None else self._model.few.told

    def __iter__(self) -> Iterator[Progress]:
        return self._steps

    def result(self) -> Result:
        """The finished pictures; makes what is not made yet."""
        for _ in self._steps:
            pass
        if len(self._pictures) < self.request.count:
            raise SfumatoError(
                f"This run broke off after {len(self._pictures)} of {self.request.count} pictures; "
                "submit the request again."
            )
        return Result(tuple(self._pictures), self._seconds)

    def _generate(self, request: Request, start: Step | None = None) -> Iterator[Step]:
        family, canvas = self._model.family, self._canvas
        return generate(family, request, canvas, self._learnt, start=start, refiner=self._refiner)

    def _guarded(self, first: Iterator[Step]) -> Iterator[Progress]:
        with self._enough():
            yield from self._run(first)

    def _run(self, first: Iterator[Step]) -> Iterator[Progress]:
        family, canvas = self._model.family, self._canvas
        sigmas = levels(process_of(family, self.request), self.request)
        steps = len(sigmas) - 1
        for i in range(self.request.count):
            begun, one = time.perf_counter(), self.request.single(i)
            bond, last = self._bond(one), self._start
            for last in first if i == 0 else self._generate(one):
                done = last.index + 1
                if done < steps:
                    yield Progress(
                        done, steps, float(sigmas[done]), last, family, canvas, bond, one.rounding
                    )
            assert last is not None
            end = Progress(steps, steps, 0.0, last, family, canvas, bond, one.rounding)
            image = self._finished(last)
            if self._enlarger is not None and one.upscale is not None:
                work = Enlargement(self._enlarger, image, one.upscale)
                yield replace(end, upscaling=(0, work.total))
                for done in work:
                    yield replace(end, upscaling=(done, work.total))
                image = work.picture()
            seconds = time.perf_counter() - begun
            self._seconds += seconds
            self._pictures.append(Picture(image, self._recipe(one, i, seconds)))
            yield end

    def _bond(self, request: Request) -> str:
        """What must be the same, for a stored step to go on to the same picture."""
        parts = sorted(self._parts.items())
        facts = (to_dict(request), self.sha256, parts, self._precision, NUMERICS)
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def _stored(self, state: bytes) -> Step:
        """The step of a `Progress.state` of this very request."""
        if self.request.count != 1:
            raise RequestError(
                f"count is {self.request.count}, and a stored step belongs to one picture; "
                "take Request.single of the request that it was of."
            )
        try:
            tensors = safetensors.load(state)
            header = json.loads(state[8 : 8 + int.from_bytes(state[:8], "little")])
        except (SafetensorError, ValueError) as error:
            raise RequestError(f"The stored step is damaged ({error}); begin anew.") from error
        if header.get("__metadata__", {}).get("bond") != self._bond(self.request):
            raise RequestError(
                "The stored step is of another request, model, precision or version; begin anew."
            )
        # Copied, for they lie anywhere within the file's bytes, and on some processors a matrix
        # product depends, in its last bits, on how its operands are aligned in memory.
        device = self._model.family.device
        return Step.from_tensors(
            {name: tensor.clone().to(device) for name, tensor in tensors.items()}
        )

    def _finished(self, last: Step) -> Image.Image:
        family, finite = self._model.family, bool(last.x.isfinite().all())
        try:
            return finish(family, self._canvas, last.x, self.request.rounding)
        except PaintingError as error:
            instead = f"Try --precision {'bf16, or ' * (self._precision == 'fp16')}fp32"
            if self._precision == "fp32":
                instead = "Take less guidance, and smaller weights in the prompt"
            # The steps went well, so the decoder may be at fault, or may not be this model's.
            other = ", or another autoencoder by --vae" if finite else ""
            raise SfumatoError(
                f"{self._model.name} failed in {self._precision}: what was painted has "
                f"{error.wrong}. It overflowed, or is damaged; nothing is saved. {instead}{other}."
            ) from error

    def _recipe(self, request: Request, index: int, seconds: float) -> Recipe:
        assert request.sampler is not None
        spec = self._model.family.spec
        return Recipe(
            request=request,
            family=spec.family,
            title=spec.title,
            sha256=self.sha256,
            parts=dict(self._parts),
            sampler_title=sampler_row(request.sampler).title,
            schedule_title=schedule_row(request.schedule).title if request.schedule else "",
            device=str(self._model.family.device),
            precision=self._precision,
            sfumato=metadata.version("sfumato"),
            torch=torch.__version__,
            index=index,
            seconds=round(seconds, 3),
            upscaler_sha256=self.upscaler_sha256,
        )


def developed(family: Family, request: Request, estimate: bytes) -> Image.Image:
    """The picture of a stored `Progress.estimate` of this request, at full size.

    Raises RequestError for what is none, PictureError where a mask's picture is a mere reference.
    """
    canvas = None if request.mask is None else canvas_of(request)
    try:
        latent = safetensors.load(estimate)["x0"].to(family.device, torch.float32)
    except (SafetensorError, KeyError) as error:
        raise RequestError(f"The stored estimate is damaged ({error}).") from error
    if latent.ndim != 4 or latent.shape[1] != family.spec.vae.latent_channels:
        raise RequestError("The stored estimate is of another model.")
    return finish(family, canvas, latent, request.rounding)
