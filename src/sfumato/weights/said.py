"""What a model says of itself in words: the small files of a diffusers folder, and telling keys.

No shape shows what a denoiser predicts, or at which noise levels it was trained.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Literal, cast

from sfumato.errors import WeightsError
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, UNetConfig
from sfumato.weights.entries import Weights

__all__ = ["prediction", "require_usual", "zero_snr"]

SCHEDULER = "scheduler/scheduler_config.json"

# What a diffusers folder's settings say of the models opened here and no shape shows: the noise
# levels of training, and of each part the number of heads, the activation, the latent's scale.
USUAL_SCHEDULER: Mapping[str, object] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "trained_betas": None,
}


def _usual(spec: ModelSpec) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each small file of a folder, and what it has to say where it says it."""
    yield SCHEDULER, _usual_scheduler(spec.process)
    if isinstance(unet := spec.denoiser, UNetConfig):
        heads: object = unet.heads
        if unet.head_width is not None:
            heads = [channels // unet.head_width for channels in unet.channels]
        yield "unet/config.json", {"attention_head_dim": heads, "num_attention_heads": None}
    yield (
        "vae/config.json",
        {"scaling_factor": spec.vae.scale, "shift_factor": spec.vae.shift or None},
    )
    for part in spec.texts:
        if isinstance(text := part.config, ClipConfig):
            usual = {"hidden_act": text.activation, "num_attention_heads": text.heads}
            yield f"{part.name}/config.json", usual


def _usual_scheduler(process: ProcessConfig) -> Mapping[str, object]:
    if process.kind != "flow":
        return USUAL_SCHEDULER
    usual = {"num_train_timesteps": 1000, "use_dynamic_shifting": process.by_size}
    if not process.by_size:
        return {**usual, "shift": process.shift}
    line = {"base_image_seq_len": 256, "max_image_seq_len": 4096}
    return {**usual, **line, "base_shift": 0.5, "max_shift": 1.15}


def _settings(weights: Weights, name: str) -> Mapping[str, object]:
    """One of a diffusers folder's small files; nothing where there is no such file."""
    if name not in weights.metadata:
        return {}
    try:
        settings: object = json.loads(weights.metadata[name])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{weights.path}/{name} is not JSON. Download it again.") from error
    if not isinstance(settings, dict):
        raise WeightsError(f"{weights.path}/{name} is not a table. Download it again.")
    return cast(dict[str, object], settings)


def prediction(weights: Weights) -> tuple[Literal["eps", "v"] | None, tuple[str, ...]]:
    """What a diffusers folder says that its denoiser predicts, or a fine-tune of SDXL by a key."""
    if "v_pred" in weights.entries:
        return "v", ("v_pred: a tensor by which a model declares what it predicts",)
    settings = _settings(weights, SCHEDULER)
    is_flow = str(settings.get("_class_name")).startswith("FlowMatch")
    if SCHEDULER not in weights.metadata or is_flow:
        return None, ()
    said = settings.get("prediction_type", "epsilon")
    if said not in ("epsilon", "v_prediction"):
        raise WeightsError(
            f"{weights.path}/{SCHEDULER}: prediction_type is {said!r}; "
            "expected epsilon or v_prediction."
        )
    return "eps" if said == "epsilon" else "v", (f"{SCHEDULER}: prediction_type {said}",)


def zero_snr(weights: Weights) -> bool:
    """Whether the model was trained down to noise alone: a folder says it, or a fine-tune's key."""
    told = _settings(weights, SCHEDULER).get("rescale_betas_zero_snr", False)
    return "ztsnr" in weights.entries or told is True


def require_usual(weights: Weights, spec: ModelSpec) -> None:
    """Refuse a model of other settings, which would paint, and wrongly, by the usual ones."""
    for file, usual in _usual(spec):
        settings = _settings(weights, file)
        for name, value in usual.items():
            if settings.get(name, value) != value:
                raise WeightsError(
                    f"{weights.path}/{file}: {name} is {settings[name]!r}; "
                    f"this version paints with {value!r} alone."
                )
