"""A model file is recognised by its header alone, and the evidence names real keys."""

import json
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sfumato.catalog import (
    CATALOG,
    SD15,
    SD15_INPAINT,
    SD21,
    SD21_INPAINT,
    SDXL,
    SDXL_REFINER,
    model_spec,
)
from sfumato.errors import WeightsError
from sfumato.spec import ModelSpec, UNetConfig
from sfumato.weights.detect import inspect
from sfumato.weights.layouts import tables
from sfumato.weights.load import NETWORKS

Shapes = dict[str, tuple[int, ...]]


def shapes_of(spec: ModelSpec, layout: str) -> Shapes:
    """A whole model's keys and shapes by a layout, nothing allocated."""
    found: Shapes = {}
    for name, table in tables(layout, spec).items():
        config = spec.parts[name]
        with torch.device("meta"):
            state = NETWORKS[type(config)](config).state_dict()
        for ours, tensor in state.items():
            place = list(table.places(ours))[-1 if ours.startswith("projection") else 0]
            (key,) = place.keys
            shape = tuple(tensor.shape)[::-1] if place.pieces.turned else tuple(tensor.shape)
            found[key] = (shape[0] * place.pieces.part[1], *shape[1:])
    return found


def sparse(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16") -> Path:
    """A safetensors file of full size that takes no room on the disk."""
    header, end = {}, 0
    for key, shape in shapes.items():
        size = prod(shape) * (2 if dtype == "F16" else 4)
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.mark.parametrize("layout", ["original", "diffusers"])
@pytest.mark.parametrize(
    "spec", [SD21, SD21_INPAINT, SDXL, SDXL_REFINER], ids=lambda spec: spec.name
)
def test_stable_diffusion_2_and_xl_are_told_by_their_widths(
    tmp_path: Path, spec: ModelSpec, layout: str
) -> None:
    shapes = shapes_of(spec, layout)
    if layout == "original":
        path = sparse(tmp_path / "m.safetensors", shapes)
    else:
        path = tmp_path / "m"
        for part in {key.partition("/")[0] for key in shapes}:
            own = {
                k.removeprefix(f"{part}/"): v for k, v in shapes.items() if k.startswith(f"{part}/")
            }
            stem = "model" if part.startswith("text") else "diffusion_pytorch_model"
            (path / part).mkdir(parents=True)
            sparse(path / part / f"{stem}.safetensors", own)
    assert inspect(path).require() == (spec.name, layout)


def test_a_fine_tune_of_xl_may_declare_by_a_key_that_it_predicts_velocity(tmp_path: Path) -> None:
    shapes = {**shapes_of(SDXL, "original"), "v_pred": (0,), "ztsnr": (0,)}
    found = inspect(sparse(tmp_path / "m.safetensors", shapes))
    assert (found.prediction, found.zero_snr) == ("v", True)
    assert any(line.startswith("v_pred") for line in found.evidence)
    assert not inspect(sparse(tmp_path / "n.safetensors", shapes_of(SDXL, "original"))).zero_snr


def test_a_folder_may_say_that_its_last_level_is_noise_alone(tmp_path: Path) -> None:
    told = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}
    found = inspect(folder(tmp_path / "m", SD15, told))
    assert (found.prediction, found.zero_snr) == ("v", True)


@pytest.mark.parametrize("spec", [SD15, SD15_INPAINT], ids=lambda spec: spec.name)
def test_stable_diffusion_1_is_told_from_its_inpainting_kind(
    tmp_path: Path, spec: ModelSpec
) -> None:
    found = inspect(sparse(tmp_path / "m.safetensors", shapes_of(spec, "original")))
    assert found.require() == (spec.name, "original")
    assert model_spec(found.require()[0]) == spec
    assert (found.precision, found.tensors) == ("float16", 1130)
    assert found.parameters == 1_066_235_307 + 320 * 9 * (spec.denoiser.in_channels - 4)
    assert found.bytes == 2 * found.parameters
    assert found.prediction is None
    assert any(f"(320, {spec.denoiser.in_channels}, 3, 3)" in line for line in found.evidence)


def folder(path: Path, spec: ModelSpec, scheduler: object = None) -> Path:
    for key_part, stem in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        own = {
            key.partition("/")[2]: shape
            for key, shape in shapes_of(spec, "diffusers").items()
            if key.startswith(f"{key_part}/")
        }
        (path / key_part).mkdir(parents=True)
        sparse(path / key_part / f"{stem}.safetensors", own, "F32")
    if scheduler is not None:
        (path / "scheduler").mkdir()
        text = scheduler if isinstance(scheduler, str) else json.dumps(scheduler)
        (path / "scheduler" / "scheduler_config.json").write_text(text)
    return path


def test_a_diffusers_folder_is_recognised_with_what_it_predicts(tmp_path: Path) -> None:
    found = inspect(folder(tmp_path / "m", SD15, {"prediction_type": "v_prediction"}))
    assert found.require() == ("sd15", "diffusers")
    assert (found.precision, found.prediction) == ("float32", "v")
    assert found.evidence[-1] == "scheduler/scheduler_config.json: prediction_type v_prediction"


def test_a_key_tensor_without_a_shape_is_no_evidence(tmp_path: Path) -> None:
    first, context = "input_blocks.0.0.weight", "input_blocks.1.1.transformer_blocks.0.attn2.to_k"
    tensors = {first: torch.ones(4, 4, 3, 3), f"{context}.weight": torch.ones(())}
    save_file({f"model.diffusion_model.{k}": v for k, v in tensors.items()}, tmp_path / "a.ckpt")
    with pytest.raises(WeightsError, match="unknown"):
        inspect(tmp_path / "a.ckpt").require()


def test_the_published_scheduler_is_followed(tmp_path: Path) -> None:
    published = {
        "_class_name": "PNDMScheduler",
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": False,
        "num_train_timesteps": 1000,
        "set_alpha_to_one": False,
        "skip_prk_steps": True,
        "steps_offset": 1,
        "trained_betas": None,
    }
    found = inspect(folder(tmp_path / "m", SD15, published))
    assert found.require() == ("sd15", "diffusers")
    assert found.prediction == "eps"


@pytest.mark.parametrize(
    ("scheduler", "words"),
    [
        ("{", "is not JSON"),
        ([], "is not a table"),
        ({"prediction_type": "sample"}, "'sample'"),
        ({"prediction_type": ["epsilon"]}, "expected epsilon or v_prediction"),
        ({"beta_end": 0.02}, "beta_end is 0.02; this version paints with 0.012 alone"),
    ],
)
def test_a_scheduler_that_cannot_be_followed_is_told(
    tmp_path: Path, scheduler: object, words: str
) -> None:
    with pytest.raises(WeightsError, match=words):
        inspect(folder(tmp_path / "m", SD15, scheduler))


@pytest.mark.parametrize(
    ("part", "settings", "words"),
    [
        (
            "unet",
            {"attention_head_dim": [5, 10, 20, 20]},
            r"attention_head_dim is \[5, 10, 20, 20\]",
        ),
        ("vae", {"scaling_factor": 0.13025}, "scaling_factor is 0.13025; .* 0.18215 alone"),
        ("text_encoder", {"hidden_act": "gelu"}, "hidden_act is 'gelu'; .* 'quick_gelu' alone"),
    ],
)
def test_settings_that_no_shape_shows_are_compared(
    tmp_path: Path, part: str, settings: dict[str, object], words: str
) -> None:
    path = folder(tmp_path / "m", SD15)
    published = {"attention_head_dim": 8, "hidden_act": "quick_gelu", "num_attention_heads": 12}
    config = path / part / "config.json"
    config.write_text(json.dumps(published if part == "text_encoder" else {"sample_size": 64}))
    assert inspect(path).require() == ("sd15", "diffusers")
    config.write_text(json.dumps(settings))
    with pytest.raises(WeightsError, match=words):
        inspect(path)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (replace(SD15.denoiser, in_channels=8), "InstructPix2Pix on Stable Diffusion 1.x"),
        (replace(SD21.denoiser, in_channels=5), "Stable Diffusion 2.x with depth"),
        (replace(SDXL.denoiser, in_channels=9), "Stable Diffusion XL for inpainting"),
        (replace(SD15.denoiser, context=640), "a U-Net of an unknown family"),
    ],
)
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_other_families_are_named_and_refused(
    tmp_path: Path, config: UNetConfig, kind: str, layout: str
) -> None:
    spec = replace(SD15, denoiser=config)
    shapes = shapes_of(spec, layout)
    if layout == "diffusers":
        shapes = {k.partition("/")[2]: v for k, v in shapes.items() if k.startswith("unet/")}
    path = sparse(tmp_path / "m.safetensors", shapes)
    found = inspect(path)
    assert found.kind == kind
    with pytest.raises(WeightsError, match=f"m.safetensors is {kind}; this version"):
        found.require()


SMALL: Mapping[str, Shapes] = {
    "a LoRA": {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": (4, 8)},
    "a LyCORIS": {"lora_unet_down_blocks_0.hada_w1_a": (4, 8)},
    "a ControlNet": {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)},
    "an IP-Adapter": {"image_proj.proj.weight": (4, 8)},
    "an AnimateDiff motion module": {"down_blocks.0.motion_modules.0.norm.weight": (4,)},
    "a textual inversion": {"emb_params": (2, 768)},
    "a relative of Flux.1 that is unknown here": {
        "model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (9, 3)
    },
    "a relative of Stable Diffusion 3 that is unknown here": {
        "model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight": (9, 3)
    },
    "an autoencoder .VAE. alone": {"decoder.conv_in.weight": (512, 4, 3, 3)},
    "a CLIP text encoder alone": {"text_model.embeddings.token_embedding.weight": (49408, 768)},
    "a T5 text encoder alone": {"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)},
    "an upscaler": {"conv_first.weight": (64, 3, 3, 3)},
    "of a kind unknown here": {"layer.weight": (3, 3)},
}


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_no_whole_model_is_named_by_a_key_that_it_holds(tmp_path: Path, kind: str) -> None:
    path = sparse(tmp_path / "m.safetensors", SMALL[kind])
    with pytest.raises(WeightsError, match=kind) as caught:
        inspect(path).require()
    assert next(iter(SMALL[kind])) in str(caught.value)


def test_a_model_that_an_inversion_was_trained_with_is_a_whole_model(tmp_path: Path) -> None:
    remains = {"embedding_manager.string_to_param_dict.*": (1, 768)}
    path = sparse(tmp_path / "a.safetensors", {**remains, **shapes_of(SD15, "original")})
    assert inspect(path).require() == ("sd15", "original")


def test_a_unet_without_its_companions_is_refused_as_such(tmp_path: Path) -> None:
    shapes = shapes_of(SD15, "original")
    without = {key: s for key, s in shapes.items() if not key.startswith("first_stage_model.")}
    with pytest.raises(WeightsError, match=r"the U-Net of Stable Diffusion 1\.x alone") as caught:
        inspect(sparse(tmp_path / "m.safetensors", without)).require()
    assert "no autoencoder" in str(caught.value)


def test_a_model_of_our_own_layout_tells_its_name(tmp_path: Path) -> None:
    state = {"unet.time_in.weight": torch.ones(2, 2)}
    save_file(state, tmp_path / "m.safetensors", metadata={"model": "mini"})
    assert inspect(tmp_path / "m.safetensors").require() == ("mini", "sfumato")
    (tmp_path / "parts").mkdir()
    part = {"time_in.weight": torch.ones(2, 2)}
    save_file(part, tmp_path / "parts" / "unet.safetensors", metadata={"model": "mini"})
    assert inspect(tmp_path / "parts").require() == ("mini", "sfumato")


def test_every_name_that_detection_gives_is_in_the_catalog() -> None:
    from sfumato.weights.detect import KINDS

    assert {name for _, name in KINDS.values() if name is not None} <= set(CATALOG)


def test_recognition_does_not_import_torch(tmp_path: Path) -> None:
    path = sparse(tmp_path / "m.safetensors", shapes_of(SD15, "original"))
    program = (
        "import sys, pathlib; from sfumato.weights.detect import inspect; "
        "inspect(pathlib.Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )
    done: Any = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == 0


TRANSFORMERS = [CATALOG[name] for name in ("sd3-medium", "sd35-medium", "sd35-large")]
TRANSFORMERS += [CATALOG[name] for name in ("flux-dev", "flux-schnell")]


def shapes_by_pieces(spec: ModelSpec, layout: str, names: tuple[str, ...]) -> Shapes:
    """The keys of some parts by a layout that may keep our tensors in several pieces."""
    found: Shapes = {}
    for name in names:
        config, table = spec.parts[name], tables(layout, spec)[name]
        with torch.device("meta"):
            state = NETWORKS[type(config)](config).state_dict()
        for ours, tensor in state.items():
            place = next(table.places(ours))
            rows = tensor.shape[0] // len(place.keys) if len(place.keys) in (3, 1) else None
            for i, key in enumerate(place.keys):
                if rows is None:  # Flux's single block: queries, keys, values, hidden layer
                    width = tensor.shape[0] // 7
                    first = width if i < 3 else 4 * width
                else:
                    first = rows
                found[key] = (first, *tensor.shape[1:])
    return found


@pytest.mark.parametrize("spec", TRANSFORMERS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_each_transformer_is_told_by_its_shapes(
    tmp_path: Path, spec: ModelSpec, layout: str
) -> None:
    shapes = shapes_by_pieces(spec, layout, ("denoiser", "vae"))
    if layout == "diffusers":
        shapes = {k.removeprefix("transformer/"): s for k, s in shapes.items() if k[0] == "t"}
    found = inspect(sparse(tmp_path / "m.safetensors", shapes))
    assert (found.spec_name, found.layout) == (spec.name, layout)
    assert found.role == ("model" if layout == "original" else "denoiser")
    assert found.prediction is None


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_transformer_alone_is_opened_only_with_its_other_parts(
    tmp_path: Path, prefix: str
) -> None:
    spec = CATALOG["flux-schnell"]
    shapes = shapes_by_pieces(spec, "original", ("denoiser",))
    alone = {prefix + k.removeprefix("model.diffusion_model."): s for k, s in shapes.items()}
    found = inspect(sparse(tmp_path / "m.safetensors", alone))
    assert found.require(alone=True) == ("flux-schnell", "original")
    with pytest.raises(WeightsError, match=r"the transformer of Flux\.1 schnell alone; give its"):
        found.require()


def test_a_transformer_of_other_sizes_is_told_with_what_it_resembles(tmp_path: Path) -> None:
    spec = CATALOG["sd35-medium"]
    odd = replace(spec, denoiser=replace(spec.denoiser, depth=20))
    shapes = shapes_by_pieces(odd, "original", ("denoiser",))
    found = inspect(sparse(tmp_path / "m.safetensors", shapes))
    assert found.spec_name is None
    line = "depth is 20, and 24 in Stable Diffusion 3.5 medium, which it resembles"
    assert line in found.evidence


def test_a_relative_of_flux_without_its_embedder_is_not_taken_for_flux(tmp_path: Path) -> None:
    shapes = shapes_by_pieces(CATALOG["flux-schnell"], "original", ("denoiser",))
    chroma = {k: s for k, s in shapes.items() if "vector_in" not in k}
    chroma["model.diffusion_model.distilled_guidance_layer.in_proj.weight"] = (5120, 64)
    with pytest.raises(WeightsError, match=r"no model\.diffusion_model\.vector_in"):
        inspect(sparse(tmp_path / "m.safetensors", chroma)).require(alone=True)
