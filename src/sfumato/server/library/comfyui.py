"""ComfyUI's pictures: the outline of a recipe, found by walking through the graph of nodes.

A ComfyUI picture says no prompt and no seed; it holds the whole graph that made it. The way leads
from the node that sampled first, against the links, to the nodes that hold text, model and
numbers. A node is known by the names of its inputs rather than by its own name, so that the nodes
of extensions are understood as well; one that is not understood is passed through.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar, cast

from sfumato.diffusion.shift import shift_of_flux
from sfumato.limits import MAX_SEED, MAX_SHIFT, MAX_SIZE, MIN_SHIFT
from sfumato.server.library.outline import (
    Outline,
    clean,
    model_name,
    real,
    sampler_name,
    schedule_name,
    whole,
)

__all__ = ["outline"]

T = TypeVar("T", int, float, str)

# What a stranger's file may cost: letters of a graph, nodes that are looked at, nodes that may be
# the one that sampled, links from one node to the next, texts of a prompt, letters between two.
_LONGEST, _MOST_NODES, _MOST_SAMPLERS, _DEEPEST = 4_000_000, 2000, 20, 200
_MOST_TEXTS, _MOST_GLUE = 200, 100
_SEEDS = ("seed", "noise_seed")
_MODELS = ("ckpt_name", "unet_name", "base_ckpt_name", "model_name", "gguf_name", "model_path")
# Where a node that only holds a value keeps it.
_VALUES = ("value", "int", "float", "number", "string", "text", "Number", "Value")
_TEXT = re.compile(r"(?:text|string|prompt|value|clip_[lg]|t5xxl)(?:_?[a-z0-9]{1,2})?")
_CONDITIONING = re.compile(r"(?:conditioning|cond)\w{0,20}")
# What never leads to a prompt.
_ELSEWHERE = frozenset(
    (
        *("model", "clip", "vae", "image", "images", "pixels", "mask", "latent", "latent_image"),
        *("samples", "control_net", "clip_vision", "style_model", "noise", "sampler", "sigmas"),
    )
)
_OUTPUTS = re.compile(r"save|preview|output", re.IGNORECASE)

# The values of a node in the page's own format have no names, only an order. Some nodes of
# ComfyUI's own; `control_after_generate` is the page's and no input.
_NEXT = "control_after_generate"
_FLUX_SHIFT = ("max_shift", "base_shift", "width", "height")
_WIDGETS: Mapping[str, tuple[str, ...]] = {
    "KSampler": ("seed", _NEXT, "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", _NEXT, "steps", "cfg", "sampler_name", "scheduler"),
        *("start_at_step", "end_at_step", "return_with_leftover_noise"),
    ),
    "SamplerCustom": ("add_noise", "noise_seed", _NEXT, "cfg"),
    "RandomNoise": ("noise_seed", _NEXT),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "ModelSamplingSD3": ("shift",),
    "ModelSamplingAuraFlow": ("shift",),
    "ModelSamplingFlux": _FLUX_SHIFT,
    "CLIPTextEncode": ("text",),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "CLIPTextEncodeSD3": ("clip_l", "clip_g", "t5xxl"),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height"),
        *("text_g", "text_l"),
    ),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name", "weight_dtype"),
    "LoraLoader": ("lora_name", "strength_model", "strength_clip"),
    "LoraLoaderModelOnly": ("lora_name", "strength_model"),
    "EmptyLatentImage": ("width", "height", "batch_size"),
    "EmptySD3LatentImage": ("width", "height", "batch_size"),
}
_SWITCHED_OFF = (2, 4)  # muted, bypassed


@dataclass(frozen=True)
class _Node:
    name: str
    kind: str
    inputs: Mapping[str, object]


def outline(prompt: str, workflow: str) -> Outline | None:
    """What made the picture, from the graph that ran, else from the page's; None if neither is one.

    ``prompt`` and ``workflow`` are the JSON texts that ComfyUI puts into a file.
    """
    nodes = _ran(_json(prompt)) or _drawn(_json(workflow))
    graph = _Graph(dict(islice(nodes.items(), _MOST_NODES)))
    if not graph.nodes:
        return None
    sampler = graph.sampler()
    return Outline() if sampler is None else _read(graph, sampler)


def _read(graph: _Graph, node: _Node) -> Outline:
    seed = graph.value(node, _SEEDS, int)
    if seed is None:
        seed = graph.beyond(node, "noise", _SEEDS, int)
    steps = graph.value(node, ("steps",), int) or graph.beyond(node, "sigmas", ("steps",), int)
    cfg = graph.value(node, ("cfg", "cfg_scale"), float)
    if cfg is None:
        cfg = graph.beyond(node, "guider", ("cfg",), float)
    sampler = graph.value(node, ("sampler_name",), str) or graph.beyond(
        node, "sampler", ("sampler_name",), str
    )
    schedule = graph.value(node, ("scheduler",), str) or graph.beyond(
        node, "sigmas", ("scheduler",), str
    )
    guider = graph.behind(node.inputs.get("guider"))
    model = graph.beyond(guider or node, "model", _MODELS, str)
    if model is None:
        model = graph.value(node, _MODELS, str) or graph.beyond(node, None, _MODELS, str)
    return Outline(
        prompt=graph.prompt(node, "positive"),
        negative=graph.prompt(node, "negative"),
        seed=whole(seed, MAX_SEED),
        model=model_name(str(model or "")),
        sampler=sampler_name(str(sampler or _made_by(graph, node, "sampler", "Sampler"))),
        schedule=schedule_name(str(schedule or _made_by(graph, node, "sigmas", "Scheduler"))),
        steps=whole(steps),
        guidance=real(cfg),
        extra=_extra(graph, node),
    )


def _made_by(graph: _Graph, node: _Node, key: str, word: str) -> str:
    """A node's own name where that says it all: SamplerDPMPP_2M_SDE, KarrasScheduler."""
    maker = graph.behind(node.inputs.get(key))
    return "" if maker is None else maker.kind.removeprefix(word).removesuffix(word)


def _extra(graph: _Graph, node: _Node) -> dict[str, str]:
    # ComfyUI draws its noise on the CPU, wherever it computes; its other numerics go by its name.
    found = {"RNG": "CPU", "Like": "comfy"}
    distilled = graph.beyond(node, "positive", ("guidance",), float)
    if distilled is None:
        distilled = graph.beyond(node, "guider", ("guidance",), float)
    if distilled is not None:
        found["Distilled CFG Scale"] = f"{distilled:g}"
    shift = _shift(graph, node)
    if shift is not None:
        found["Shift"] = f"{shift:.9g}"
    denoise = graph.value(node, ("denoise",), float)
    if denoise is None:
        denoise = graph.beyond(node, "sigmas", ("denoise",), float)
    if denoise is not None and denoise < 1:
        found["Denoising strength"] = f"{denoise:g}"
    start = graph.behind(node.inputs.get("guider")) or node
    loras = [text for each in graph.upstream(start, "model") for text in _loras(graph, each)]
    if loras:
        found["Lora"] = ", ".join(dict.fromkeys(loras))
    return {key: clean(value) for key, value in found.items()}


def _shift(graph: _Graph, node: _Node) -> float | None:
    """How far the noise levels were moved: as the nearest ModelSampling node before the model says.

    That of Flux says it by the size, between two numbers (comfy_extras/nodes_model_advanced.py).
    None where there is no such node, or where it says what no request may hold.
    """
    start = graph.behind(node.inputs.get("guider")) or node
    for each in (*graph.upstream(start, "model"), *graph.upstream(node, "sigmas")):
        if each.kind in ("ModelSamplingSD3", "ModelSamplingAuraFlow"):
            shift = graph.value(each, ("shift",), float)
        elif each.kind == "ModelSamplingFlux":
            shift = _shift_of_flux(*(graph.value(each, (key,), float) for key in _FLUX_SHIFT))
        else:
            continue
        return shift if shift is not None and MIN_SHIFT <= shift <= MAX_SHIFT else None
    return None


def _shift_of_flux(
    high: float | None, low: float | None, width: float | None, height: float | None
) -> float | None:
    if high is None or low is None or width is None or height is None:
        return None
    # A stranger's numbers: beyond these no request takes what would come of them.
    if not (
        0 <= low <= 100 and 0 <= high <= 100 and 0 < width <= MAX_SIZE and 0 < height <= MAX_SIZE
    ):
        return None
    return shift_of_flux(width * height / 256, low, high)


def _loras(graph: _Graph, node: _Node) -> Iterator[str]:
    name = graph.value(node, ("lora_name",), str)
    if name:
        weight = graph.value(node, ("strength_model", "lora_model_strength", "strength"), float)
        yield f"{model_name(name)}: {1.0 if weight is None else weight:g}"
    for value in node.inputs.values():  # one node with many of them
        if isinstance(value, dict):
            row = cast("dict[str, object]", value)
            weight = real(row.get("strength"))
            if isinstance(row.get("lora"), str) and row.get("on", True):
                yield f"{model_name(str(row['lora']))}: {1.0 if weight is None else weight:g}"


class _Graph:
    """The nodes by their names, and the ways against their links."""

    def __init__(self, nodes: Mapping[str, _Node]) -> None:
        self.nodes = nodes
        self._next: dict[str, tuple[_Node, ...]] = {}  # all nodes behind a node, each once

    def behind(self, value: object) -> _Node | None:
        """The node that an input is linked to; None for a plain value or a loose end."""
        if not isinstance(value, list):
            return None
        link = cast("list[object]", value)
        if len(link) != 2 or not isinstance(link[0], str | int):
            return None
        return self.nodes.get(str(link[0]))

    def upstream(self, node: _Node, key: str | None) -> Iterator[_Node]:
        """All nodes from which the input ``key`` (or any) is made, the nearest first."""
        if key is None:
            return self._walk(self._behind_all(node))
        each = self.behind(node.inputs.get(key))
        return self._walk(() if each is None else (each,))

    def _walk(self, first: Iterable[_Node]) -> Iterator[_Node]:
        """These nodes and all that they are made from, each once, the nearest first."""
        seen = {node.name: node for node in first}
        waiting = deque(seen.values())
        while waiting:
            each = waiting.popleft()
            yield each
            for other in self._behind_all(each):
                if other.name not in seen:
                    seen[other.name] = other
                    waiting.append(other)

    def _behind_all(self, node: _Node) -> tuple[_Node, ...]:
        found = self._next.get(node.name)
        if found is None:
            linked = (self.behind(value) for value in node.inputs.values())
            unlike = {each.name: each for each in linked if each is not None}
            found = self._next[node.name] = tuple(unlike.values())
        return found

    def sampler(self) -> _Node | None:
        """The node that made the picture: the first of several passes over it."""
        found = [node for node in self.nodes.values() if _samples(node)][:_MOST_SAMPLERS]
        if len(found) < 2:
            return found[0] if found else None
        names = {node.name for node in found}
        ends = [node for node in self.nodes.values() if _OUTPUTS.search(node.kind)]
        before = (each for end in ends for each in self._behind_all(end))
        shown = {each.name for each in self._walk(before)}

        def rank(node: _Node) -> tuple[int, bool, int, str]:
            passes = sum(each.name in names for each in self.upstream(node, None))
            number = int(node.name) if node.name.isdecimal() and len(node.name) < 10 else 10**10
            return passes, node.name not in shown, number, node.name

        return min(found, key=rank)

    def value(self, node: _Node, keys: tuple[str, ...], kind: type[T]) -> T | None:
        """The first of the inputs ``keys`` that is there, followed to the node that holds it.

        A number with a point is finite.
        """
        return self._held(node, keys, kind, set(), 0)

    def _held(
        self,
        node: _Node,
        keys: tuple[str, ...],
        kind: type[T],
        seen: set[tuple[str, str]],
        depth: int,
    ) -> T | None:
        """``seen`` are the nodes that hold no such value, each with the input that led to it."""
        for key in keys:
            value = node.inputs.get(key)
            if kind is float and isinstance(value, int | float):
                value = real(value)
            if isinstance(value, kind) and not isinstance(value, bool):
                return value
            holder = self.behind(value)
            if holder is not None and (holder.name, key) not in seen and depth < _DEEPEST:
                seen.add((holder.name, key))
                others = _SEEDS if key in _SEEDS else (key,)
                found = self._held(holder, (*others, *_VALUES), kind, seen, depth + 1)
                if found is not None:
                    return found
        return None

    def beyond(
        self, node: _Node, link: str | None, keys: tuple[str, ...], kind: type[T]
    ) -> T | None:
        """The same, of the nearest node behind an input (or any) that has it."""
        seen: set[tuple[str, str]] = set()
        for each in self.upstream(node, link):
            found = self._held(each, keys, kind, seen, 0)
            if found is not None:
                return found
        return None

    def prompt(self, sampler: _Node, role: str) -> str:
        """The texts that were encoded for ``role``, "positive" or "negative"."""
        start = sampler
        guider = self.behind(sampler.inputs.get("guider"))
        if guider is not None:
            start = guider
        if role not in start.inputs and role == "positive" and "conditioning" in start.inputs:
            found = self._texts(start.inputs["conditioning"], role, set())
        elif role in start.inputs:
            value = start.inputs[role]
            found = [value] if isinstance(value, str) else self._texts(value, role, set())
        else:
            # No input of that name: a bundle of everything leads to a loader that has one.
            holders = (each for each in self.upstream(start, None) if role in each.inputs)
            loader = next(holders, None)
            found = [] if loader is None else self._of(loader, [role], role, set())
        texts = (clean(text).strip() for text in found)
        return "\n".join(dict.fromkeys(text for text in texts if text))

    def _texts(self, value: object, role: str, seen: set[str]) -> list[str]:
        node = self.behind(value)
        if node is None or node.name in seen or len(seen) >= _DEEPEST:
            return []
        seen.add(node.name)
        if node.kind == "ConditioningZeroOut":  # whatever stood there, it became nothing
            return []
        inputs = node.inputs
        names = (role, f"{role}_prompt", f"text_{role}", f"{role}_text", "populated_text")
        keys = (
            [key for key in names if key in inputs][:1]
            or [key for key in inputs if _TEXT.fullmatch(key)]
            or [key for key in inputs if _CONDITIONING.fullmatch(key)]
            or [key for key in inputs if key not in _ELSEWHERE]
        )
        found = self._of(node, keys, role, seen)
        glue = inputs.get("delimiter")
        return [glue[:_MOST_GLUE].join(found)] if isinstance(glue, str) and found else found

    def _of(self, node: _Node, keys: list[str], role: str, seen: set[str]) -> list[str]:
        found: list[str] = []
        for key in keys:
            value = node.inputs[key]
            named = _TEXT.fullmatch(key) or role in key or key == "populated_text"
            if isinstance(value, str) and named:
                found.append(value)
            else:
                found += self._texts(value, role, seen)
            if len(found) >= _MOST_TEXTS:
                break
        return found[:_MOST_TEXTS]


def _samples(node: _Node) -> bool:
    """Whether a node draws noise and takes steps."""
    seeded = any(key in node.inputs for key in (*_SEEDS, "noise"))
    return seeded and ("steps" in node.inputs or "sigmas" in node.inputs)


def _json(text: str) -> object:
    try:
        return cast("object", json.loads(text)) if 0 < len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        return None


def _ran(data: object) -> dict[str, _Node]:
    """The nodes of a graph as the server ran it: a name for each, its kind, its inputs by name."""
    found: dict[str, _Node] = {}
    for name, row in _items(data):
        kind, inputs = _get(row, "class_type"), _get(row, "inputs")
        if isinstance(kind, str) and isinstance(inputs, dict):
            found[name] = _Node(name, kind, cast("dict[str, object]", inputs))
    return found


def _drawn(data: object) -> dict[str, _Node]:
    """The nodes of a graph as the page draws it: values in an order, links in a list apart."""
    origins: dict[object, list[object]] = {}
    for link in _list(_get(data, "links")):
        row = _list(link)
        if len(row) >= 3 and isinstance(row[0], int | str) and isinstance(row[1], int | str):
            origins[row[0]] = [str(row[1]), row[2]]
    found: dict[str, _Node] = {}
    for node in _list(_get(data, "nodes")):
        name, kind = _get(node, "id"), _get(node, "type")
        if not isinstance(name, int | str) or not isinstance(kind, str):
            continue
        if _get(node, "mode") in _SWITCHED_OFF:
            continue
        values = _get(node, "widgets_values")
        inputs: dict[str, object] = dict(_items(values))  # some nodes do name them
        inputs |= dict(zip(_WIDGETS.get(kind, ()), _list(values), strict=False))
        for put in _list(_get(node, "inputs")):
            key, link = _get(put, "name"), _get(put, "link")
            if isinstance(key, str) and isinstance(link, int | str) and link in origins:
                inputs[key] = origins[link]
        found[str(name)] = _Node(str(name), kind, inputs)
    return found


def _items(value: object) -> list[tuple[str, object]]:
    return list(cast("dict[str, object]", value).items()) if isinstance(value, dict) else []


def _get(value: object, key: str) -> object:
    return cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []
