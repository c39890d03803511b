"""Devices, precision, and which model is resident: requests come in, runs go out.

The only file that names a device.
"""

import gc
import os
import re
import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from PIL import Image

from sfumato.catalog import BUNDLED, ILLUSTRATION
from sfumato.diffusion.table import sampler_row, schedule_row
from sfumato.errors import RequestError
from sfumato.familiar import familiar
from sfumato.limits import UPSCALER
from sfumato.memory import available
from sfumato.opening import Asked, Found, find, load, require_refines
from sfumato.request import Request
from sfumato.resolve import resolve
from sfumato.run import Loaded, Run, developed
from sfumato.shelves import Shelves
from sfumato.shipped import shipped
from sfumato.spec import ModelSpec
from sfumato.upscale import Enlargement, Enlarger, open_enlarger
from sfumato.vocabulary import Taker, Vocabulary, Word
from sfumato.weights.hashes import digest

__all__ = ["Engine", "choose_device", "room"]

PRECISIONS: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
# How torch says it where it raises a plain RuntimeError.
OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
SEED_BITS = 32  # of a drawn seed: short enough to be typed again


class Engine:
    """Pictures on one device; one model stays resident and is replaced when another is asked for.

    ``device``: auto, cpu, cuda, cuda:N or mps; ``precision``: auto, fp32, fp16 or bf16. ``model``
    is what a request gets that names none. ``shelves`` find models, and parts of them, by their
    names; without any there are the bundled model and paths. Raises RequestError for what is not
    there.
    """

    def __init__(
        self,
        device: str = "auto",
        precision: str = "auto",
        *,
        model: str = BUNDLED,
        shelves: Shelves | None = None,
    ) -> None:
        self.device = choose_device(device)
        self._chosen = precision == "auto"  # by us, so that a model may have it otherwise
        self.precision = _precision(precision, self.device)
        self.model, self.shelves = model, Shelves() if shelves is None else shelves
        self._resident: tuple[Asked, Loaded] | None = None  # what was asked for, and what it is
        self._refiner: tuple[str, Loaded] | None = None  # likewise, beside the resident model
        self._held = 0  # bytes of the resident model's weights
        self._enlarger: tuple[str, Enlarger] | None = None  # likewise

    def load(self) -> None:
        """Loads the engine's own model now rather than at the first request."""
        self._load(Asked(self.model))

    def _asked(self, request: Request) -> Asked:
        model = self.model if request.model is None else request.model
        return Asked(model, request.vae, request.text_encoders)

    def submit(self, request: Request, *, state: bytes | None = None) -> Run:
        """The run of a request, its model loaded. Nothing is rendered until it is iterated.

        ``state`` is a `Progress.state` of the same resolved request for one picture: the run goes
        on after that step and ends as if it had never stopped, to the bit. Raises RequestError,
        PromptError or WeightsError for what cannot be done.
        """
        model = self._load(self._asked(request))
        refiner = None if request.refiner is None else self._load_refiner(request.refiner, model)
        if refiner is not None:
            request = replace(request, refiner=refiner.name)
        enlarger = None if request.upscale is None else self._load_enlarger(request.upscaler)
        if enlarger is not None and request.upscale is not None:
            enlarger.check(request.upscale)
            request = replace(request, upscaler=enlarger.name)
        words = self._words(request, Taker(model.name, model.family.spec.embeds))
        if refiner is not None:  # it hears the same prompts
            for word in words:
                word.learnt.require(refiner.family.spec.embeds, refiner.name)
        resolved = resolve(
            request,
            model.family.spec.defaults,
            model=model.name,
            draw_seed=lambda: secrets.randbits(SEED_BITS),
            sampler_name=lambda name: sampler_row(name).name,
            schedule_name=lambda name: schedule_row(name).name,
            embeddings=tuple(word.embedding for word in words),
        )
        self._require_room(resolved, model.family.spec, model.precision)
        size = f"{resolved.width}x{resolved.height}"
        enough = partial(_enough_memory, self.device, f"a picture of {size}", "a smaller --size")
        learnt = tuple(word.learnt for word in words)
        return Run(resolved, model, enough, state, learnt, enlarger, refiner)

    def enlarge(self, image: Image.Image, factor: int, upscaler: str | None = None) -> Enlargement:
        """The making of an RGB picture ``factor`` (2 or 4) times as wide and high.

        By the bundled upscaler, or that in the file ``upscaler``. Raises RequestError and
        WeightsError for what cannot be done.
        """
        return Enlargement(self._load_enlarger(upscaler), image, factor)

    def develop(self, request: Request, estimate: bytes) -> Image.Image:
        """The picture of a stored `Progress.estimate` of this request, at full size.

        Where the request has a mask, its pictures' pixels are needed. Raises RequestError for what
        is none, PictureError for a mere reference.
        """
        model = self._load(self._asked(request))
        return developed(model.family, request, estimate)

    def _load_enlarger(self, asked: str | None) -> Enlarger:
        asked = UPSCALER if asked is None else asked
        if self._enlarger is None or self._enlarger[0] != asked:
            path, name = Path(asked), Path(asked).name
            if asked == UPSCALER:
                path, name = shipped(ILLUSTRATION.asset), UPSCALER
            self._enlarger = asked, open_enlarger(path, name, self.device)
        return self._enlarger[1]

    def _words(self, request: Request, taker: Taker) -> tuple[Word, ...]:
        """The embeddings that a request hears, of those on the shelves."""
        items = self.shelves.items("embedding") if taker.embeds else ()
        files = ((item.name, item.path) for item in items)
        return Vocabulary(files, self.shelves.hashes).heard(request, taker)

    def _load(self, asked: Asked) -> Loaded:
        if self._resident is not None and self._resident[0] == asked:
            return self._resident[1]
        if self._resident is not None:
            self._resident = self._refiner = None
            gc.collect()  # make room before the next one comes
        found = find(asked, self.shelves)
        precision = self._precision_of(found.spec)
        dtype = PRECISIONS[precision]
        self._require_memory(found, dtype)
        with _enough_memory(self.device, found.name, "another --device, or --precision fp16"):
            family = load(found, dtype, self.device)
        own, parts = found.hashes(self.shelves.hashes)
        words = familiar(found.main.metadata)
        model = Loaded(found.name, own, precision, family, parts, words, found.absent, found.few)
        self._resident, self._held = (asked, model), found.needs(dtype)
        return model

    def _load_refiner(self, asked: str, base: Loaded) -> Loaded:
        """The model that takes over, beside the resident one, whose autoencoder serves both."""
        if self._refiner is not None and self._refiner[0] == asked:
            return self._refiner[1]
        self._refiner = None
        whole = find(Asked(asked), self.shelves)
        require_refines(base.family.spec, whole.spec)
        found, precision = whole.without_vae(), self._precision_of(whole.spec)
        dtype = PRECISIONS[precision]
        self._require_memory(found, dtype, self._held)
        with _enough_memory(self.device, found.name, "another --device, or no refiner"):
            family = load(found, dtype, self.device, base.family.vae)
        model = Loaded(found.name, digest(found.main, self.shelves.hashes), precision, family)
        self._refiner = asked, model
        return model

    def _precision_of(self, spec: ModelSpec) -> str:
        """The engine's precision, or bf16 where fp16 was not asked for and would overflow."""
        if self._chosen and self.precision == "fp16" and not spec.denoiser.half:
            return "bf16"
        return self.precision

    def _require_memory(self, found: Found, dtype: torch.dtype, held: int = 0) -> None:
        """Refuses a model that this device cannot hold beside what it holds, before it is read."""
        need, have, free = found.needs(dtype), _memory(self.device), _free(self.device)
        have = None if have is None else have - held
        copies = found.copies(dtype) if self.device.type == "cpu" else need
        if have is not None and need > have:
            packed = found.bytes_packed
            unpacked = f", {packed / 2**30:.1f} GiB in its files" if packed < need else ""
            raise RequestError(
                f"{found.name} needs {need / 2**30:.1f} GiB of memory on {self.device}{unpacked}; "
                f"there are {have / 2**30:.1f}. Take another --device, a lower --precision, or a "
                "smaller model."
            )
        if free is not None and copies > free:
            raise RequestError(
                f"{found.name} needs {copies / 2**30:.1f} GiB of memory on {self.device}, and "
                f"{free / 2**30:.1f} are free now. End other programs that use it, or take another "
                "--device, a lower --precision, or a smaller model."
            )

    def _require_room(self, request: Request, spec: ModelSpec, precision: str) -> None:
        """Refuses a size that this device cannot hold, before it is tried."""
        assert request.width is not None
        assert request.height is not None
        width, height = request.width, request.height
        need = room(spec, width, height, precision)
        told = (_memory(self.device), _free(self.device))
        have = min((amount for amount in told if amount is not None), default=need)
        if need > have:
            side = int((have / need * width * height) ** 0.5) // 64 * 64
            raise RequestError(
                f"{width}x{height} needs about {need / 2**30:.0f} GiB on {self.device}, which can "
                f"give {have / 2**30:.0f}. Up to about {side}x{side} fits."
            )


def room(spec: ModelSpec, width: int, height: int, precision: str) -> int:
    """Bytes that a picture of this size in pixels needs at the least, beside the weights.

    The widest moment of either network: of the decoder a block's input, its normalised copy and its
    output, at the finest level.
    """
    bytes_each = PRECISIONS[precision].itemsize
    vae = spec.vae
    decoder = 3 * max(vae.channels[:2]) * max(bytes_each, 4) * width * height // vae.patch**2
    denoiser = spec.denoiser.widest * bytes_each * width * height // vae.factor**2
    return int(max(decoder, denoiser))


@contextmanager
def _enough_memory(device: torch.device, what: str, instead: str) -> Generator[None]:
    """Tells memory that ran out, which `room` cannot always foresee, from a fault of ours."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        surely = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if not surely and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        raise RequestError(
            f"The memory of {device} is not enough for {what}.\n"
            f"Take {instead}, or end other programs that use it."
        ) from error


def choose_device(asked: str) -> torch.device:
    """The device of a name: auto, cpu, cuda, cuda:N or mps. RequestError if it is not there."""
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    named = re.fullmatch("(cpu|cuda|mps)(?::(0|[1-9][0-9]{0,2}))?", asked)
    if named is None:
        raise RequestError(
            f"There is no device {asked!r:.40}; expected auto, cpu, cuda, cuda:1 (and on) or mps."
        )
    kind, number = named.groups()
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if int(number or 0) >= there[kind]:
        usable = ", ".join(name for name, count in there.items() if count)
        raise RequestError(f"This machine has no {asked}; here are: {usable}. Try --device auto.")
    return torch.device(asked)


def _precision(asked: str, device: torch.device) -> str:
    if asked == "auto":
        if device.type == "cpu":
            return "bf16" if _native_bf16() else "fp32"
        return "fp16"
    if asked not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise RequestError(f"There is no precision {asked!r}; expected auto, {known}.")
    return asked


def _native_bf16() -> bool:
    """Whether this processor multiplies bf16 itself, rather than through float32."""
    have = torch.cpu.get_capabilities()
    return any(have.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _memory(device: torch.device) -> int | None:
    """Bytes of memory that the device has in all; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" in names and "SC_PAGE_SIZE" in names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _free(device: torch.device) -> int | None:
    """Bytes of memory that the device can give now; None where the system does not tell."""
    if device.type == "cuda":
        ours = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + ours
    return available()
