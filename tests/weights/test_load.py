"""A network gets every tensor of its file, in the wanted precision, and nothing else passes."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import WeightsError
from sfumato.nn.clip import ClipText
from sfumato.nn.unet import UNet
from sfumato.nn.vae import Vae
from sfumato.resolve import Defaults
from sfumato.spec import ClipConfig, ModelSpec, ProcessConfig, TextPart, UNetConfig, VaeConfig
from sfumato.weights.files import open_weights
from sfumato.weights.int8 import pack_rows
from sfumato.weights.layouts import LAYOUTS, original, own, tables
from sfumato.weights.load import Parts, load_model, load_part

TEXT = ClipConfig(vocab=60, length=12, layers=2, width=16, heads=2, hidden=32)
SPEC = ModelSpec(
    name="small",
    title="Small",
    family="sd",
    texts=(TextPart(TEXT, "text"),),
    denoiser=UNetConfig(channels=(8, 16), depth=(1, 0), blocks=1, heads=2, context=16, groups=4),
    vae=VaeConfig(channels=(8, 16), blocks=1, groups=4),
    process=ProcessConfig(),
    defaults=Defaults(20, 7.0, "euler", "normal", 512, 512),
)

State = dict[str, torch.Tensor]


@pytest.fixture
def model() -> Parts:
    torch.manual_seed(0)
    return Parts(UNet(SPEC.denoiser), Vae(SPEC.vae), (ClipText(TEXT),))


def state_of(model: Parts, layout: str) -> State:
    """The whole model by a layout's keys; the autoencoder's attention as the original has it."""
    by_part = tables(layout, SPEC)
    networks = {"denoiser": model.denoiser, "vae": model.vae, "text": model.texts[0]}
    state = {
        by_part[name].usual(ours): tensor
        for name, network in networks.items()
        for ours, tensor in network.state_dict().items()
    }
    if layout == "original":
        for key, tensor in state.items():
            if "attn_1" in key and tensor.ndim == 2:
                state[key] = tensor[:, :, None, None]
    return {key: tensor.detach().contiguous() for key, tensor in state.items()}


def write(state: State, path: Path, layout: str) -> Path:
    """A file, or for keys led by a part a folder of files."""
    if layout == "original":
        save_file(state, path.with_suffix(".safetensors"))
        return path.with_suffix(".safetensors")
    path.mkdir()
    names = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
    for part in sorted({key.split("/")[0] for key in state}):
        own_keys = {k.partition("/")[2]: v for k, v in state.items() if k.startswith(f"{part}/")}
        if layout == "sfumato":
            save_file(own_keys, path / f"{part}.safetensors")
        else:
            (path / part).mkdir()
            save_file(own_keys, path / part / f"{names.get(part, 'model')}.safetensors")
    return path


def same(a: torch.nn.Module, b: torch.nn.Module, dtype: torch.dtype) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(
        one[k].dtype == dtype and torch.equal(one[k], two[k].to(dtype)) for k in one
    )


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("stored", [torch.float32, torch.float16])
def test_a_model_is_the_one_that_was_saved(
    model: Parts, tmp_path: Path, layout: str, dtype: torch.dtype, stored: torch.dtype
) -> None:
    for network in (model.denoiser, model.vae, model.texts[0]):
        network.to(stored)
    path = write(state_of(model, layout), tmp_path / "model", layout)
    loaded = load_model(open_weights(path), SPEC, tables(layout, SPEC), dtype)
    assert same(loaded.denoiser, model.denoiser, dtype)
    assert same(loaded.vae, model.vae, dtype)
    assert same(loaded.texts[0], model.texts[0], dtype)


def test_a_checkpoint_of_torch_loads_like_a_safetensors_file(model: Parts, tmp_path: Path) -> None:
    state = state_of(model, "original")
    torch.save({"state_dict": state, "global_step": 7}, tmp_path / "m.ckpt")
    path = tmp_path / "m.ckpt"
    loaded = load_model(open_weights(path), SPEC, tables("original", SPEC), torch.float32)
    assert same(loaded.denoiser, model.denoiser, torch.float32)
    assert same(loaded.texts[0], model.texts[0], torch.float32)


def test_the_autoencoder_can_keep_another_precision(model: Parts, tmp_path: Path) -> None:
    path = write(state_of(model, "original"), tmp_path / "m", "original")
    loaded = load_model(
        open_weights(path), SPEC, tables("original", SPEC), torch.float16, torch.float32
    )
    assert same(loaded.vae, model.vae, torch.float32)
    assert same(loaded.denoiser, model.denoiser, torch.float16)


def test_a_loaded_network_is_ready_to_use(model: Parts, tmp_path: Path) -> None:
    path = write(state_of(model, "original"), tmp_path / "m", "original")
    loaded = load_model(open_weights(path), SPEC, tables("original", SPEC), torch.float32)
    for network in (loaded.denoiser, loaded.vae, loaded.texts[0]):
        assert not network.training
        assert not any(p.requires_grad or p.is_meta for p in network.parameters())
    ids = torch.tensor([[1, 2, 59]])
    assert torch.equal(loaded.texts[0](ids)[0], model.texts[0](ids)[0])


def test_what_is_known_to_come_along_is_passed_by(model: Parts, tmp_path: Path) -> None:
    extras = (
        "model_ema.decay", "model_ema.diffusion_modeltime_embed0weight", "betas", "alphas_cumprod",
        "alphas_cumprod_prev", "posterior_mean_coef2", "first_stage_model.loss.logvar",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
    )  # fmt: skip
    state = state_of(model, "original") | {key: torch.ones(1) for key in extras}
    path = write(state, tmp_path / "m", "original")
    load_model(open_weights(path), SPEC, tables("original", SPEC), torch.float32)


def test_early_conversions_without_text_model_are_read(model: Parts, tmp_path: Path) -> None:
    state = {k.replace(".text_model.", "."): v for k, v in state_of(model, "original").items()}
    path = write(state, tmp_path / "m", "original")
    loaded = load_model(open_weights(path), SPEC, tables("original", SPEC), torch.float32)
    assert same(loaded.texts[0], model.texts[0], torch.float32)


def test_the_autoencoder_s_older_names_in_diffusers_are_read(model: Parts, tmp_path: Path) -> None:
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    state = state_of(model, "diffusers")
    for now, before in older.items():
        state = {
            k.replace(f"attentions.0.{now}.", f"attentions.0.{before}.") if "vae/" in k else k: v
            for k, v in state.items()
        }
    assert any("proj_attn" in key for key in state)
    path = write(state, tmp_path / "m", "diffusers")
    loaded = load_model(open_weights(path), SPEC, tables("diffusers", SPEC), torch.float32)
    assert same(loaded.vae, model.vae, torch.float32)


def test_loading_does_not_wake_torch_s_compiler(model: Parts, tmp_path: Path) -> None:
    # Embeddings built on the meta device would import it, 800 modules with sympy among them.
    save_file(
        {f"text.{k}": v for k, v in model.texts[0].state_dict().items()}, tmp_path / "m.safetensors"
    )
    program = """
import pathlib, sys, torch
from sfumato.nn.clip import ClipText
from sfumato.spec import ClipConfig
from sfumato.weights.files import open_weights
from sfumato.weights.layouts import own
from sfumato.weights.load import load_part
config = ClipConfig(vocab=60, length=12, layers=2, width=16, heads=2, hidden=32)
weights = open_weights(pathlib.Path(sys.argv[1]))
load_part(ClipText, config, weights, own.part("text"), torch.float32)
sys.exit("sympy" in sys.modules)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "m.safetensors")]
    assert subprocess.run(command, check=False).returncode == 0


CONV_IN = "model.diffusion_model.input_blocks.0.0.weight"


def dropped(state: State) -> State:
    return {key: value for key, value in state.items() if key != CONV_IN}


def reshaped(state: State) -> State:
    return state | {CONV_IN: torch.ones(8, 9, 3, 3)}


def added(state: State) -> State:
    return state | {"control_model.zero.weight": torch.ones(1)}


def without_vae(state: State) -> State:
    return {key: value for key, value in state.items() if not key.startswith("first_stage")}


def of_integers(state: State) -> State:
    return state | {CONV_IN: torch.ones(8, 4, 3, 3, dtype=torch.int32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dropped, f"1 are missing and 0 differ.\n  {CONV_IN}: missing"),
        (reshaped, f"{CONV_IN}: got (8, 9, 3, 3), expected (8, 4, 3, 3)"),
        (added, "1 tensors that this model has no place for: control_model.zero.weight"),
        (without_vae, "holds no Vae: no key such as first_stage_model."),
        (of_integers, f"{CONV_IN}: got int32, expected floating point"),
    ],
)
def test_a_file_that_does_not_fit_to_the_last_tensor_is_refused_with_the_evidence(
    model: Parts, tmp_path: Path, change: Callable[[State], State], words: str
) -> None:
    path = write(change(state_of(model, "original")), tmp_path / "m", "original")
    with pytest.raises(WeightsError) as caught:
        load_model(open_weights(path), SPEC, tables("original", SPEC), torch.float32)
    assert words in str(caught.value)
    assert "sfumato models inspect m.safetensors" in str(caught.value)


def test_one_part_loads_from_a_whole_model_s_file(model: Parts, tmp_path: Path) -> None:
    path = write(state_of(model, "original"), tmp_path / "m", "original")
    table = original.vae(SPEC.vae)
    vae = load_part(Vae, SPEC.vae, open_weights(path), table, torch.float32)
    assert same(vae, model.vae, torch.float32)


def test_one_part_of_another_config_is_refused(model: Parts, tmp_path: Path) -> None:
    path = write(state_of(model, "original"), tmp_path / "m", "original")
    wide = replace(SPEC.denoiser, in_channels=9)
    with pytest.raises(WeightsError, match="does not fit"):
        load_part(UNet, wide, open_weights(path), original.unet(wide), torch.float32)


# ---- our own storage in one byte ------------------------------------------------------------


def packed(state: State, key: str) -> State:
    rows, scale = pack_rows(state[key])
    return state | {key: rows, f"{key}.scale": scale.half()}


def test_int8_rows_are_unpacked_on_loading(model: Parts, tmp_path: Path) -> None:
    state = packed(
        {f"text.{k}": v for k, v in model.texts[0].state_dict().items()}, "text.token.weight"
    )
    save_file(state, tmp_path / "m.safetensors")
    weights = open_weights(tmp_path / "m.safetensors")
    text = load_part(ClipText, TEXT, weights, own.part("text"), torch.float32)
    assert torch.equal(text.norm.weight, model.texts[0].norm.weight)
    largest = model.texts[0].state_dict()["token.weight"].abs().amax(dim=1, keepdim=True)
    error = (text.token.weight - model.texts[0].state_dict()["token.weight"]).abs()
    assert error.max() > 0
    assert (error <= largest * 0.006).all()


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (None, "got int8 without its scale, expected text.token.weight.scale beside it"),
        (torch.ones(3), "its scale is float32 (3,), expected a float for each row"),
        (torch.ones(60, dtype=torch.int32), "its scale is int32 (60,)"),
    ],
)
def test_int8_rows_without_a_scale_for_each_are_refused(
    model: Parts, tmp_path: Path, scale: torch.Tensor | None, words: str
) -> None:
    state = packed(
        {f"text.{k}": v for k, v in model.texts[0].state_dict().items()}, "text.token.weight"
    )
    del state["text.token.weight.scale"]
    if scale is not None:
        state["text.token.weight.scale"] = scale
    save_file(state, tmp_path / "m.safetensors")
    weights = open_weights(tmp_path / "m.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_part(ClipText, TEXT, weights, own.part("text"), torch.float32)
    assert words in str(caught.value)


# ---- eight bits with a scale ----------------------------------------------------------------


def scaled(model: Parts) -> State:
    """A text encoder as ComfyUI's scaled files keep it: one matrix in eight bits."""
    state = {f"text.{k}": v.detach() for k, v in model.texts[0].state_dict().items()}
    key = "text.blocks.0.hidden"
    state[f"{key}.weight"] = (state[f"{key}.weight"] / 0.25).to(torch.float8_e4m3fn)
    state[f"{key}.scale_weight"] = torch.tensor(0.25)
    return state | {"text.scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}


def test_eight_bits_with_a_scale_are_scaled_on_loading(model: Parts, tmp_path: Path) -> None:
    state = scaled(model)
    save_file(state, tmp_path / "m.safetensors")
    weights = open_weights(tmp_path / "m.safetensors")
    text = load_part(ClipText, TEXT, weights, own.part("text"), torch.float32)
    stored = state["text.blocks.0.hidden.weight"].float() * 0.25
    assert torch.equal(text.state_dict()["blocks.0.hidden.weight"], stored)
    exact = model.texts[0].state_dict()["blocks.0.hidden.weight"]
    assert (stored - exact).abs().max() <= 0.07 * exact.abs().max()


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("scale_weight", torch.ones(3), "its scale is float32 (3,), expected one number"),
        ("weight_scale", torch.ones(1), "has no place for: text.blocks.0.hidden.weight_scale"),
        ("comfy_quant", torch.ones(4), "has no place for: text.blocks.0.hidden.comfy_quant"),
    ],
)
def test_eight_bits_scaled_in_another_way_are_refused_by_name(
    model: Parts, tmp_path: Path, name: str, tensor: torch.Tensor, words: str
) -> None:
    save_file(scaled(model) | {f"text.blocks.0.hidden.{name}": tensor}, tmp_path / "m.safetensors")
    weights = open_weights(tmp_path / "m.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_part(ClipText, TEXT, weights, own.part("text"), torch.float32)
    assert words in str(caught.value)
