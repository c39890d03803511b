"""A picture's recipe in AUTOMATIC1111's words, which other programs read; it is an outline."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from sfumato.catalog import ILLUSTRATION
from sfumato.embedding import embeddings_from_text, embeddings_to_text
from sfumato.errors import PictureError, RequestError
from sfumato.limits import MAX_CLIP_SKIP, SIZE_STEP, UPSCALER, UPSCALES
from sfumato.request import Request

__all__ = [
    "Made",
    "enlarged_text",
    "file_name",
    "followed",
    "split_parameters",
    "upscaled_words",
    "written",
]

_WEIGHT_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".gguf")
_CONTENT: Mapping[str, str] = {
    "blur": "fill",
    "noise": "latent noise",
    "nothing": "latent nothing",
}
_RNG: Mapping[str, str] = {"cpu": "CPU", "nv": "NV"}
# What A1111 tells of its settings, by key and value.
_NUMERICS: Mapping[str, Mapping[str, Mapping[str, str | bool]]] = {
    "Emphasis": {"None": {"weighting": "plain"}, "Original": {"weighting": "a1111"}},
    "SGM noise multiplier": {"True": {"first_noise": "variance"}},
    "Discard penultimate sigma": {"True": {"discard_penultimate": True}},
}
# How the extension for dynamic thresholding comes; set otherwise, it is not followed.
_THRESHOLD: Mapping[str, str] = {
    "Mimic mode": "Constant",
    "CFG mode": "Constant",
    "Separate Feature Channels": "True",
    "Scaling Startpoint": "MEAN",
    "Variability Measure": "AD",
    "Interpolate Phi": "1.0",
}
# A1111 before 1.9 wrote the schedule behind the sampler: "DPM++ 2M Karras".
_SCHEDULE_SUFFIXES = (" Karras", " Exponential")
# A1111's own pattern, with a bound on the key: without it a long line takes quadratic time.
_PAIR = re.compile(r'(\w[\w \-/]{1,99}):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_ENLARGED = re.compile(r"\bPostprocess upscale by: (\d{1,4}(?:\.\d{1,4})?)(?=,|$)")
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
# Settings that say who made the picture, and never how: nothing is lost by not following them.
_CREDITS = frozenset({"Version", "Model hash", "VAE hash", "User"})


@dataclass(frozen=True)
class Made:
    """What the text tells beside the request: who made the picture, and with which files.

    ``sampler`` and ``schedule`` are A1111's names; ``schedule`` is empty for own noise levels.
    ``sha256`` is of the model's file, ``parts`` of each part that has a file of its own.
    ``version``: of this package.
    """

    sampler: str
    schedule: str
    sha256: str
    parts: Mapping[str, str]
    version: str


def written(request: Request, made: Made) -> str:
    """A picture's recipe in A1111's words, as far as it has words for it."""
    pairs = {
        "Steps": str(request.steps),
        "Sampler": made.sampler,
        **({"Schedule type": made.schedule} if made.schedule else {}),
        "CFG scale": _short(request.guidance),
        "Seed": str(request.seed),
        "Size": f"{request.width}x{request.height}",
        "Model hash": made.sha256[:10],
        "Model": _stem(request.model or ""),
    }
    pairs |= _of_the_seed(request)
    if request.distilled is not None:
        pairs["Distilled CFG Scale"] = _short(request.distilled)  # Forge's word
    if request.shift is not None:
        pairs["Shift"] = _short(request.shift)  # Forge Neo's
    if request.refiner is not None:
        pairs["Refiner"] = f"{_stem(request.refiner)} [{made.parts.get('refiner', '')[:10]}]"
        pairs["Refiner switch at"] = _short(request.refiner_at)
    if request.vae is not None:
        pairs["VAE hash"], pairs["VAE"] = made.parts.get("vae", "")[:10], request.vae
    if request.strength is not None:
        pairs["Denoising strength"] = _short(request.strength)
    pairs |= _of_the_numerics(request)
    if request.clip_skip > 1:
        pairs["Clip skip"] = str(request.clip_skip)
    pairs |= _of_the_threshold(request)
    # As the extension of the dynamicprompts package writes them.
    if request.template:
        pairs["Template"] = request.template
    if request.negative_template:
        pairs["Negative Template"] = request.negative_template
    if request.embeddings:
        pairs["TI hashes"] = embeddings_to_text(request.embeddings)
    if request.mask is not None:
        pairs |= _of_the_mask(request)
    if request.upscale is not None:
        pairs |= upscaled_words(request.upscale, request.upscaler or "")
    pairs["Version"] = f"sfumato {made.version}"
    parts = [request.prompt] if request.prompt else []
    if request.negative:
        parts.append(f"Negative prompt: {request.negative}")
    parts.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items()))
    return "\n".join(parts)


def followed(text: str) -> tuple[Request, dict[str, str]]:
    """What can be followed of the text that A1111, or anything like it, put into a picture.

    With it come the settings that were not.
    Sampler and schedule keep the names found there; `sfumato.resolve` looks them up. "Automatic"
    becomes None, the model's own. What the text does not tell of the numerics (`sfumato.numerics`)
    is as in the tool that wrote it: sfumato or ComfyUI by its `Version`, A1111 otherwise.
    Raises `PictureError` when a value is not what its key promises.
    """
    prompt, negative, settings = split_parameters(text)
    if "Steps" not in settings:
        raise PictureError("its text is not a recipe (it has no line that starts with 'Steps: ').")
    left = {key: value for key, value in settings.items() if key not in _CREDITS}
    sampler, schedule = left.pop("Sampler", None), left.pop("Schedule type", None)
    if sampler is not None and schedule is None:
        for suffix in _SCHEDULE_SUFFIXES:
            if sampler.endswith(suffix):
                sampler, schedule = sampler.removesuffix(suffix), suffix.strip()
    if schedule is not None and schedule.lower() == "automatic":
        schedule = None
    size = left.pop("Size", None)
    width, height = (None, None) if size is None else _shape("Size", size)
    try:
        learnt = left.pop("TI hashes", "")
        steps, seed, guidance = left.pop("Steps"), left.pop("Seed", None), left.pop("CFG scale", "")
        distilled, shift = left.pop("Distilled CFG Scale", ""), left.pop("Shift", "")
        request = Request(
            prompt=prompt,
            negative=negative,
            template=left.pop("Template", ""),
            negative_template=left.pop("Negative Template", ""),
            seed=None if seed is None else int(seed),
            steps=int(steps),
            guidance=float(guidance) if guidance else None,
            distilled=float(distilled) if distilled else None,
            sampler=sampler or None,
            schedule=schedule or None,
            shift=float(shift) if shift else None,
            width=width,
            height=height,
            **_numerics(left, settings.get("Version", "")),
            clip_skip=_skipped(left),
            **_threshold(left),
            embeddings=embeddings_from_text(learnt) if learnt else None,
            model=file_name(left.pop("Model", "")) or None,
            upscale=_upscaled(left),
            **_refiner(left),
            vae=_vae_of(left),
            **_seed_settings(left),
        )
    except (RequestError, ValueError) as error:
        raise PictureError(f"its recipe cannot be followed: {error}") from error
    return request, left


def _numerics(left: dict[str, str], version: str) -> dict[str, Any]:
    """The numerics that a text tells or, by who wrote it, means; taken out of ``left``."""
    wrote = version.casefold()
    usual = next((name for name in ("sfumato", "comfy") if name in wrote), "a1111")
    said: dict[str, Any] = {"like": left.pop("Like", usual)}
    source = left.pop("RNG", None)
    if source is not None:
        said["stream"] = "cpu" if source.upper() == "CPU" else "nv"
    for key, known in _NUMERICS.items():
        if left.get(key) in known:
            said |= known[left.pop(key)]
    return said


def split_parameters(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and settings of an A1111 text, by A1111's own rules.

    The settings are the last line, if it holds at least three `key: value` pairs; lines lose the
    white space at their ends.
    """
    lines = text.strip().split("\n")
    pairs = _PAIR.findall(lines[-1])
    if len(pairs) >= 3:
        lines.pop()
    else:
        pairs = []
    marker = "Negative prompt:"
    prompts: tuple[list[str], list[str]] = ([], [])
    negative = False
    for line in map(str.strip, lines):
        if line.startswith(marker):
            negative, line = True, line.removeprefix(marker).strip()
        prompts[negative].append(line)
    settings = {key: _unquoted(value.strip()) for key, value in pairs}
    return "\n".join(prompts[0]), "\n".join(prompts[1]), settings


def file_name(model: str) -> str:
    """A model's name without its folder: a picture must not say where on a machine to look."""
    return PureWindowsPath(model).name  # knows both kinds of slash


def _stem(model: str) -> str:
    """The model's name as A1111 shows it: a file without its suffix."""
    for suffix in _WEIGHT_SUFFIXES:
        model = model.removesuffix(suffix)
    return model


def _vae_of(left: dict[str, str]) -> str | None:
    """The file of an autoencoder of its own, if the text names one; A1111 says None for none."""
    name = file_name(left.pop("VAE", ""))
    return None if name in ("", "None", "Automatic") else name


def _refiner(left: dict[str, str]) -> dict[str, Any]:
    """The model that takes over, and when, taken out of `left`; its hash tells no more."""
    name = file_name(re.sub(r" \[[0-9a-f]{8,64}\]$", "", left.pop("Refiner", "")))
    at = left.pop("Refiner switch at", None)
    if name in ("", "None"):
        return {}
    return {"refiner": name, "refiner_at": None if at is None else float(at)}


def _of_the_seed(request: Request) -> dict[str, str]:
    """What A1111 writes of a starting noise that is not the seed's own alone."""
    pairs: dict[str, str] = {}
    if request.variation_strength:
        pairs["Variation seed"] = str(request.variation_seed)
        pairs["Variation seed strength"] = _short(request.variation_strength)
    if request.seed_width is not None:
        pairs["Seed resize from"] = f"{request.seed_width}x{request.seed_height}"
    return pairs


def _seed_settings(left: dict[str, str]) -> dict[str, Any]:
    """The fields of a starting noise that is not the seed's own alone, taken out of `left`."""
    found: dict[str, object] = {}
    strength, seed = left.pop("Variation seed strength", None), left.pop("Variation seed", None)
    if strength is not None and float(strength) != 0:
        found["variation_strength"] = float(strength)
        found["variation_seed"] = None if seed is None else int(seed)
    size = left.pop("Seed resize from", None)
    if size is not None:
        # A1111 cuts this size down to whole elements of the latent, where it refuses any other.
        found["seed_width"], found["seed_height"] = (
            side // SIZE_STEP * SIZE_STEP for side in _shape("Seed resize from", size)
        )
    return found


def _skipped(left: dict[str, str]) -> int:
    """The layer of CLIP, taken out of `left` if there can be such a one."""
    asked = left.get("Clip skip", "")
    if asked not in map(str, range(1, MAX_CLIP_SKIP + 1)):
        return 1
    return int(left.pop("Clip skip"))


def _of_the_threshold(request: Request) -> dict[str, str]:
    """What the extension for dynamic thresholding writes; it has no word for Imagen's."""
    if request.threshold != "mimic":
        return {}
    return {
        "Dynamic thresholding enabled": "True",
        "Mimic scale": _short(request.mimic_scale),
        "Threshold percentile": _short(round(100 * request.mimic_quantile, 6)),
    }


def _threshold(left: dict[str, str]) -> dict[str, Any]:
    """The fields of a threshold, taken out of `left` if it is the one that is done here."""
    usual = all(left.get(key, value) == value for key, value in _THRESHOLD.items())
    if left.get("Dynamic thresholding enabled") != "True" or not usual:
        return {}
    for key in ("Dynamic thresholding enabled", *_THRESHOLD):
        left.pop(key, None)
    scale, quantile = left.pop("Mimic scale", "7"), left.pop("Threshold percentile", "100")
    mimic = {"mimic_scale": float(scale), "mimic_quantile": round(float(quantile) / 100, 9)}
    return {"threshold": "mimic", **mimic}


def _shape(key: str, value: str) -> tuple[int, int]:
    shape = _SIZE.fullmatch(value)
    if shape is None:
        raise PictureError(f"its recipe says '{key}: {value}', which is not width x height.")
    return int(shape[1]), int(shape[2])


def _of_the_numerics(request: Request) -> dict[str, str]:
    """What A1111 writes of its settings, and which tool was followed if it was another's."""
    pairs = {"RNG": _RNG[request.stream or "cpu"]}
    if request.weighting == "plain":
        pairs["Emphasis"] = "None"  # A1111's word for brackets that are only letters
    if request.first_noise == "variance":
        pairs["SGM noise multiplier"] = "True"
    if request.discard_penultimate:
        pairs["Discard penultimate sigma"] = "True"
    if request.like != "sfumato":
        pairs["Like"] = request.like
    return pairs


def _of_the_mask(request: Request) -> dict[str, str]:
    """What A1111 writes of a mask: only what differs from how its page starts."""
    pairs = {"Mask mode": "Inpaint not masked"} if request.mask_invert else {}
    if request.mask_blur:
        pairs["Mask blur"] = str(request.mask_blur)
    if request.mask_padding is not None:
        pairs["Inpaint area"] = "Only masked"
        pairs["Masked area padding"] = str(request.mask_padding)
    if request.mask_fill in _CONTENT:
        pairs["Masked content"] = _CONTENT[request.mask_fill]
    return pairs


def upscaled_words(upscale: int, upscaler: str) -> dict[str, str]:
    """What A1111's extras write of a picture made larger; `Size` stays that of the painted one."""
    name = ILLUSTRATION.title if upscaler == UPSCALER else _stem(file_name(upscaler))
    return {"Postprocess upscale by": str(upscale), "Postprocess upscaler": name}


def enlarged_text(text: str, factor: int, upscaler: str) -> str:
    """The text of a picture that was made `factor` times larger since, by an upscaler's name.

    What is no recipe stays as it is: there is no line of settings for it to stand in.
    """
    settings = split_parameters(text)[2]
    if "Steps" not in settings:
        return text
    words, before = upscaled_words(factor, upscaler), _ENLARGED.search(text)
    if before is None:
        added = ", ".join(f"{key}: {_quoted(value)}" for key, value in words.items())
        return f"{text.rstrip()}, {added}"
    whole = f"Postprocess upscale by: {_short(float(before[1]) * factor)}"
    text = text[: before.start()] + whole + text[before.end() :]
    known, name = settings.get("Postprocess upscaler"), words["Postprocess upscaler"]
    return text if known == name else f"{text.rstrip()}, Postprocess upscaler then: {_quoted(name)}"


def _upscaled(left: dict[str, str]) -> int | None:
    """By how much, taken out of `left` if it was done by an upscaler that is here."""
    factor = left.get("Postprocess upscale by", "").removesuffix(".0")
    ours = left.get("Postprocess upscaler") == ILLUSTRATION.title
    if not ours or factor not in map(str, UPSCALES) or "Postprocess upscaler 2" in left:
        return None
    del left["Postprocess upscale by"], left["Postprocess upscaler"]
    return int(factor)


def _short(value: float | None) -> str:
    return repr(value).removesuffix(".0")


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r"[,:\n]", value) else value


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        return str(json.loads(value))
    except ValueError:  # a value that only looks quoted is what it is
        return value
