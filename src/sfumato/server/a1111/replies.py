"""What A1111 clients get back: the pictures, and a text of everything about them in JSON."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from sfumato.diffusion.table import sampler_row
from sfumato.server.a1111.models import short, stem
from sfumato.server.a1111.payloads import Image2Image, Text2Image

if TYPE_CHECKING:
    from sfumato.server.events import Stepped
    from sfumato.server.job import Job
    from sfumato.server.library import Entry

__all__ = ["base64_of", "info", "made", "parameters", "progress"]


def base64_of(data: bytes) -> str:
    """Bytes as this dialect sends them: base64 without a `data:` in front."""
    return base64.b64encode(data).decode("ascii")


def made(
    sent: Text2Image, job: Job, entries: list[Entry], version: str, remarks: Sequence[str] = ()
) -> dict[str, Any]:
    """The reply to txt2img and img2img: the files of the library, bit for bit, in their order.

    ``version`` is that of sfumato; ``remarks`` go to its comments.
    """
    files = [] if sent.send_images is False else [entry.file.read_bytes() for entry in entries]
    return {
        "images": [base64_of(data) for data in files],
        "parameters": parameters(sent),
        "info": json.dumps({**info(job, entries, version), "comments": "\n".join(remarks)}),
    }


def parameters(sent: Text2Image) -> dict[str, Any]:
    """What was sent, field by field; the pictures only if the client wants them back."""
    fields = sent.model_dump()
    if isinstance(sent, Image2Image) and not sent.include_init_images:
        fields |= {"init_images": None, "mask": None}
    return fields


def info(job: Job, entries: list[Entry], version: str) -> dict[str, Any]:
    """All about a job's pictures, under A1111's keys; of an interrupted job, of those finished."""
    request, some = job.request, [entry for entry in entries if entry.recipe is not None]
    recipe = some[0].recipe if some else None
    used = request if recipe is None else recipe.request
    seeds = [entry.seed for entry in entries]
    varied = [None if e.recipe is None else e.recipe.request.variation_seed for e in entries]
    subseeds = [seed if other is None else other for seed, other in zip(seeds, varied, strict=True)]
    count = len(entries)
    return {
        "prompt": request.prompt,
        "all_prompts": [request.prompt] * count,
        "negative_prompt": request.negative,
        "all_negative_prompts": [request.negative] * count,
        "seed": request.seed,
        "all_seeds": seeds,
        "subseed": subseeds[0] if subseeds else request.seed,
        "all_subseeds": subseeds,
        "subseed_strength": request.variation_strength or 0,
        "width": used.width,
        "height": used.height,
        "sampler_name": sampler_row(used.sampler).title if used.sampler else None,
        "cfg_scale": used.guidance,
        "steps": used.steps,
        "batch_size": request.count,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": stem(used.model or ""),
        "sd_model_hash": None if recipe is None else short(recipe.sha256),
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1 if request.seed_width is None else request.seed_width,
        "seed_resize_from_h": -1 if request.seed_height is None else request.seed_height,
        "denoising_strength": request.strength,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [entry.parameters for entry in entries],
        "styles": [],
        "job_timestamp": _timestamp(job.created),
        "clip_skip": used.clip_skip,
        "is_using_inpainting_conditioning": False,
        "version": f"sfumato {version}",
    }


def progress(job: Job | None, step: Stepped | None, task: str, *, image: bool) -> dict[str, Any]:
    """How far a job is; without one, the idle state that clients wait for: 0 of 0."""
    count = 0 if job is None else job.count
    number, done, steps = (0, 0, 0) if job is None else (job.painted, job.step, job.steps)
    if step is not None and step.picture != number:
        step = None  # of a picture that is finished by now
    share = 0.0 if not count else min((number + (done / steps if steps else 0)) / count, 1.0)
    left = None if step is None else step.seconds_left
    return {
        "progress": share,
        "eta_relative": 0.0 if left is None else left,
        "state": {
            "skipped": False,
            "interrupted": False,
            "stopping_generation": False,
            "job": "" if job is None else task or job.id,
            "job_count": count,
            "job_timestamp": "0" if job is None else _timestamp(job.created),
            "job_no": number,
            "sampling_step": done,
            "sampling_steps": steps,
        },
        "current_image": _seen(job, step) if image else None,
        "textinfo": "Waiting..." if job is not None and job.state == "queued" else None,
    }


def _seen(job: Job | None, step: Stepped | None) -> str | None:
    """The picture so far: a full preview where one was made, else the sketch at its full size."""
    if job is None or step is None:
        return None
    if step.preview_png is not None:
        return base64_of(step.preview_png)
    width, height = job.request.width, job.request.height
    if width is None or height is None:  # the model's own; the sketch's eightfold is the usual one
        width, height = (8 * side for side in step.sketch.size)
    buffer = io.BytesIO()
    step.sketch.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return base64_of(buffer.getvalue())


def _timestamp(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.localtime(seconds))
