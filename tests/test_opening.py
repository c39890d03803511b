"""A model whose parts lie in files of their own paints, and its recipe names them all."""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from safetensors.torch import load_file, save_file

from sfumato import catalog
from sfumato.catalog import CATALOG
from sfumato.cli.kept import Today
from sfumato.cli.verify import CANNOT, DIFFERS, EQUAL, Check, verify
from sfumato.engine import Engine
from sfumato.errors import RequestError, WeightsError
from sfumato.opening import Asked, find
from sfumato.recipe import Recipe, from_parameters
from sfumato.request import Request
from sfumato.server.shelf import own_parts
from sfumato.shelves import Shelves
from sfumato.spec import (
    ClipConfig,
    FluxConfig,
    MMDiTConfig,
    ModelSpec,
    T5Config,
    UNetConfig,
    VaeConfig,
)
from sfumato.weights.layouts import alone, tables
from sfumato.weights.load import NETWORKS, load_parts
from tests.parity.transformed import pieces
from tests.text.test_t5 import spiece

State = dict[str, torch.Tensor]
T5 = T5Config(vocab=140, layers=1, width=24, heads=2, head_width=8, hidden=32)
CLIP = ClipConfig(layers=1, width=16, heads=2, hidden=32)
VAE = VaeConfig(
    latent_channels=16, channels=(8, 8, 8, 8), blocks=1, groups=4, quant=False,
    sketch=CATALOG["flux-dev"].vae.sketch,
)  # fmt: skip


def small(spec: ModelSpec, *configs: Any) -> ModelSpec:
    texts = tuple(replace(p, config=c) for p, c in zip(spec.texts, configs, strict=True))
    return replace(spec, texts=texts, vae=VAE)


FLUX = replace(
    small(CATALOG["flux-dev"], CLIP, T5),
    denoiser=FluxConfig(width=128, heads=1, double=1, single=1, context=24, pooled=16),
)
SD3 = replace(
    small(
        CATALOG["sd3-medium"],
        CLIP,
        replace(CLIP, width=20, projection=20),
        replace(T5, width=48),
    ),
    denoiser=MMDiTConfig(width=64, depth=1, heads=1, context=48, pooled=36, positions=8),
)


@pytest.fixture(autouse=True)
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalog's rows at small sizes, wherever they are looked up."""
    rows = MappingProxyType({**CATALOG, "flux-dev": FLUX, "sd3-medium": SD3})
    for module in ("catalog", "weights.detect", "weights.measured", "shelves.shelves"):
        monkeypatch.setattr(f"sfumato.{module}.CATALOG", rows)
    assert catalog.model_spec("flux-dev") is FLUX


def state(config: Any, table: Any, seed: int) -> State:
    torch.manual_seed(seed)
    network = NETWORKS[type(config)](config)
    return {
        table.usual(name): tensor.clone().contiguous()
        for name, tensor in network.state_dict().items()
    }


def parts_of(spec: ModelSpec, folder: Path) -> dict[str, Path]:
    """Each part of a model in a file of its own, the denoiser in the original layout, alone."""
    folder.mkdir(exist_ok=True)
    files: dict[str, Path] = {}
    for i, (name, config) in enumerate(spec.parts.items()):
        table = tables("original", spec)["denoiser"] if name == "denoiser" else alone(config)[0]
        tensors = state(config, table, i)
        bare = {k.removeprefix("model.diffusion_model."): t for k, t in tensors.items()}
        files[name] = folder / f"{name}.safetensors"
        save_file(bare, files[name])
    (folder / "spiece.model").write_bytes(spiece(pieces()))
    return files


def request_of(files: dict[str, Path], **changes: Any) -> Request:
    texts = tuple(str(path) for name, path in files.items() if name.startswith("text"))
    wish = Request(
        "a red fox", seed=3, steps=2, width=64, height=48, model=str(files["denoiser"]),
        vae=str(files["vae"]), text_encoders=texts,
    )  # fmt: skip
    return replace(wish, **changes)


@pytest.fixture
def engine() -> Engine:
    return Engine("cpu", "fp32")


@pytest.mark.parametrize("spec", [FLUX, SD3], ids=["flux", "sd3"])
def test_a_denoiser_with_its_parts_in_files_of_their_own_paints(
    spec: ModelSpec, engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(spec, tmp_path / "parts")
    picture = engine.submit(request_of(files)).result().pictures[0]
    assert picture.image.size == (64, 48)
    recipe = picture.recipe
    assert set(recipe.parts) == {*files, "tokenizer"} - {"denoiser"}
    assert recipe.request.vae == "vae.safetensors"
    assert all("/" not in name for name in recipe.request.text_encoders)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert f"VAE hash: {recipe.parts['vae'][:10]}, VAE: vae.safetensors" in recipe.parameters()


def test_the_same_model_in_one_file_paints_the_same_picture(engine: Engine, tmp_path: Path) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    whole: State = {}
    for i, (name, config) in enumerate(FLUX.parts.items()):
        whole |= state(config, tables("original", FLUX)[name], i)
    whole["text_encoders.t5xxl.logit_scale"] = torch.ones(1)
    (tmp_path / "one").mkdir()
    path = tmp_path / "one" / "flux.safetensors"
    save_file(whole, path)
    (tmp_path / "one" / "spiece.model").write_bytes(spiece(pieces()))
    apart = engine.submit(request_of(files)).result().pictures[0]
    one = (
        engine.submit(request_of(files, model=str(path), vae=None, text_encoders=()))
        .result()
        .pictures[0]
    )
    assert apart.image.tobytes() == one.image.tobytes()
    assert set(one.recipe.parts) == {"tokenizer"}
    wanted = request_of(files, model=str(path), vae=None, text_encoders=())
    assert Today(engine.shelves).apart(one.recipe, wanted) is None  # as it would be made now
    other = replace(one.recipe, parts={"tokenizer": "ab" * 32})
    assert Today(engine.shelves).apart(other, wanted) == "with other parts of the model"


def test_another_vae_makes_another_picture_of_a_whole_model(engine: Engine, tmp_path: Path) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    other = tmp_path / "other.safetensors"
    save_file(state(VAE, alone(VAE)[1], 99), other)  # as diffusers names it
    first = engine.submit(request_of(files)).result().pictures[0]
    second = engine.submit(request_of(files, vae=str(other))).result().pictures[0]
    assert first.image.tobytes() != second.image.tobytes()
    assert first.recipe.parts["vae"] != second.recipe.parts["vae"]


def test_sd3_without_t5_paints_and_its_recipe_shows_none(engine: Engine, tmp_path: Path) -> None:
    files = parts_of(SD3, tmp_path / "parts")
    assert engine.submit(request_of(files)).absent == ()
    del files["text_encoder_3"]
    run = engine.submit(request_of(files))
    assert run.absent == ("T5 (text encoder 3)",)
    picture = run.result().pictures[0]
    assert "text_encoder_3" not in picture.recipe.parts
    assert "tokenizer" not in picture.recipe.parts


def test_a_picture_is_verified_with_parts_that_lie_elsewhere_by_now(
    engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    picture = tmp_path / "fox.png"
    engine.submit(request_of(files)).result().pictures[0].save(picture)
    moved = {name: tmp_path / "moved" / name / path.name for name, path in files.items()}
    for name, path in files.items():
        moved[name].parent.mkdir(parents=True)
        path.rename(moved[name])
    parts = Check(
        [picture],
        model=str(moved["denoiser"]),
        vae=str(moved["vae"]),
        text_encoders=tuple(str(moved[name]) for name in ("text_encoder", "text_encoder_2")),
    )
    words = str(tmp_path / "parts" / "spiece.model")
    parts = replace(parts, text_encoders=(*parts.text_encoders, words))
    assert verify(replace(parts, vae=None), lambda *_: engine) == CANNOT
    assert verify(parts, lambda *_: engine) == EQUAL
    other = tmp_path / "other.safetensors"
    save_file(state(VAE, alone(VAE)[1], 99), other)
    assert verify(replace(parts, vae=str(other)), lambda *_: engine) == DIFFERS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vae": None}, r"holds no VAE of Flux.1 dev.\n  Give --vae FILE"),
        ({"text_encoders": ("clip",)}, "holds no text encoder 2"),
        ({"vae": "clip"}, "text_encoder.safetensors is not a VAE of Flux.1 dev"),
        ({"text_encoders": ("clip", "clip", "t5")}, "are both the text encoder of Flux.1 dev"),
        ({"text_encoders": ("clip", "t5", "vae")}, "vae.safetensors is no text encoder"),
        ({"vae": None, "text_encoders": ()}, "give its other parts by --vae"),
        ({"vae": "nowhere/a.safetensors"}, "No model file"),
    ],
    ids=str,
)
def test_a_part_that_is_missing_or_wrong_is_told(
    change: dict[str, Any], words: str, engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    named = {"clip": "text_encoder", "t5": "text_encoder_2", "vae": "vae"}
    said = {key: str(files[part]) for key, part in named.items()}
    filled = {
        name: tuple(said[v] for v in value) if isinstance(value, tuple) else said.get(value, value)
        for name, value in change.items()
    }
    with pytest.raises(WeightsError, match=words):
        engine.submit(request_of(files, **filled))


def test_without_a_vocabulary_t5_is_refused_and_told_where_it_belongs(
    engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    words = tmp_path / "words" / "spiece.model"
    words.parent.mkdir()
    (tmp_path / "parts" / "spiece.model").rename(words)
    with pytest.raises(WeightsError, match=r"its vocabulary is not beside .*\n  Put the model's"):
        engine.submit(request_of(files))
    for given in (words, words.parent):
        wish = request_of(files)
        texts = (*wish.text_encoders, str(given))
        assert engine.submit(replace(wish, text_encoders=texts)).request.text_encoders == texts


def test_a_truncated_part_is_told_and_nothing_stays_half_loaded(
    engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    good = files["text_encoder_2"].read_bytes()
    files["text_encoder_2"].write_bytes(good[: len(good) // 2])
    with pytest.raises(WeightsError, match="cut short"):
        engine.submit(request_of(files))
    files["text_encoder_2"].write_bytes(good)
    engine.submit(request_of(files))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 72}, r"width, for this model, is 72, but must be a multiple of 16"),
        ({"negative": "blurry"}, "negative has no effect with the guidance 1"),
    ],
    ids=str,
)
def test_what_flux_cannot_do_is_refused_by_name(
    change: dict[str, Any], words: str, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=words):
        engine.submit(request_of(parts_of(FLUX, tmp_path / "parts"), **change))


def test_distilled_guidance_has_an_effect_on_flux_dev_and_is_refused_elsewhere(
    engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    usual, strong = (
        engine.submit(request_of(files, distilled=d)).result().pictures[0] for d in (None, 20.0)
    )
    assert usual.recipe.request.distilled == 3.5
    assert usual.image.tobytes() != strong.image.tobytes()
    assert "Distilled CFG Scale: 20" in strong.recipe.parameters()
    with pytest.raises(RequestError, match=r"distilled is 3\.5, and mini takes no such strength"):
        engine.submit(Request("a fox", distilled=3.5))


def test_a_size_beyond_the_places_that_sd3_has_learnt_is_refused(
    engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match="between 16 and 3072"):
        engine.submit(request_of(parts_of(SD3, tmp_path / "parts"), width=4096, height=4096))


def test_a_model_beyond_the_memory_is_refused_before_it_is_read(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sfumato.engine._memory", lambda device: 2**10)
    with pytest.raises(RequestError, match=r"needs .* GiB of memory on cpu"):
        engine.submit(request_of(parts_of(FLUX, tmp_path / "parts")))


def test_a_model_beyond_the_free_memory_is_refused_before_it_is_read(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = request_of(parts_of(FLUX, tmp_path / "parts"))
    found = find(Asked(str(wish.model), wish.vae, wish.text_encoders), engine.shelves)
    monkeypatch.setattr("sfumato.engine._free", lambda device: found.needs(torch.bfloat16) // 2)
    half = Engine("cpu", "bf16")
    with pytest.raises(RequestError, match=r"needs .* on cpu, and .* are free now. End other"):
        half.submit(wish)
    # What needs no copy stays in its files, and the system lets go of it as it likes.
    assert found.copies(torch.float32) == 0 < found.copies(torch.bfloat16)
    engine.submit(wish)


def test_what_parts_need_in_memory_is_told_before_they_are_read(tmp_path: Path) -> None:
    wish = request_of(parts_of(SD3, tmp_path / "parts"))
    found = find(Asked(str(wish.model), wish.vae, wish.text_encoders), Shelves())
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        parts = load_parts(found.spec, found.origins, dtype, found.types(dtype))
        held = (parts.denoiser, parts.vae, *filter(None, parts.texts))
        numbers = [tensor for part in held for tensor in part.state_dict().values()]
        assert sum(t.numel() * t.element_size() for t in numbers) == found.needs(dtype)


def test_a_quantised_denoiser_paints_nearly_the_same_picture(
    engine: Engine, tmp_path: Path
) -> None:
    files = parts_of(FLUX, tmp_path / "parts")
    exact = load_file(files["denoiser"])
    packed = tmp_path / "flux.gguf"
    writer = GGUFWriter(packed, "flux")
    for key, tensor in exact.items():
        fits = tensor.ndim == 2 and tensor.shape[-1] % 32 == 0
        kind = GGMLQuantizationType.Q8_0 if fits else GGMLQuantizationType.F32
        writer.add_tensor(key, quantize(tensor.numpy(), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours, theirs = (
        engine.submit(request_of(files, model=str(path))).result().pictures[0].image
        for path in (packed, files["denoiser"])
    )
    off = np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int))
    assert off.max() <= 8
    assert np.asarray(ours).std() > 1


SMALL_SD = replace(
    CATALOG["sd15"],
    texts=(replace(CATALOG["sd15"].texts[0], config=replace(CLIP, width=768)),),
    denoiser=UNetConfig(channels=(8, 8), depth=(1, 0), blocks=1, heads=2, groups=4),
    vae=replace(VAE, latent_channels=4, quant=True, sketch=CATALOG["sd15"].vae.sketch),
)


def test_an_autoencoder_of_its_own_is_laid_over_a_whole_model_of_sd_1(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = MappingProxyType({**CATALOG, "sd15": SMALL_SD})
    for module in ("catalog", "weights.detect"):
        monkeypatch.setattr(f"sfumato.{module}.CATALOG", rows)
    whole: State = {}
    for i, (name, config) in enumerate(SMALL_SD.parts.items()):
        whole |= state(config, tables("original", SMALL_SD)[name], i)
    save_file(whole, tmp_path / "sd.safetensors")
    other = state(SMALL_SD.vae, alone(SMALL_SD.vae)[0], 99)
    save_file({f"first_stage_model.{k}": t for k, t in other.items()}, tmp_path / "a.safetensors")
    save_file(other, tmp_path / "b.safetensors")
    wish = Request(
        "a fox", seed=1, steps=1, width=64, height=64, model=str(tmp_path / "sd.safetensors")
    )
    own, led, bare = (
        engine.submit(replace(wish, vae=None if n is None else str(tmp_path / n)))
        .result()
        .pictures[0]
        for n in (None, "a.safetensors", "b.safetensors")
    )
    assert own.image.tobytes() != bare.image.tobytes()
    assert led.image.tobytes() == bare.image.tobytes()
    assert own.recipe.parts == {}
    assert set(bare.recipe.parts) == {"vae"}


def test_the_text_of_a_picture_names_the_vae_and_the_distilled_guidance_and_is_read_back() -> None:
    text = (
        "a fox\nSteps: 20, Sampler: Euler, Schedule type: Simple, CFG scale: 1, "
        "Distilled CFG Scale: 3.5, Seed: 7, Size: 64x64, VAE hash: 0123456789, VAE: ae.safetensors"
    )
    origin = from_parameters(text)
    assert (origin.request.vae, origin.request.distilled) == ("ae.safetensors", 3.5)
    assert origin.unread == {}
    assert from_parameters(text.replace("ae.safetensors", "None")).request.vae is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"text_encoders": "a"}, "must be a list of names"),
        ({"text_encoders": ("a",) * 9}, "has 9 names, but may have 8"),
        ({"text_encoders": ("",)}, "text_encoders is empty"),
        ({"vae": ""}, "vae is empty"),
        ({"distilled": -1}, "distilled is -1"),
    ],
    ids=str,
)
def test_parts_that_cannot_be_names_are_refused_by_field(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        Request(**change)


def test_a_server_opens_no_part_that_a_stranger_names() -> None:
    for change in ({"vae": "a"}, {"text_encoders": ("a",)}):
        with pytest.raises(RequestError, match="this server opens no parts"):
            own_parts(Request(**change))


def test_a_model_whose_reader_comes_with_it_takes_no_other(engine: Engine, tmp_path: Path) -> None:
    clip = parts_of(FLUX, tmp_path / "parts")["text_encoder"]
    with pytest.raises(WeightsError, match="is no text encoder of sfumato mini"):
        engine.submit(Request("a fox", text_encoders=(str(clip),)))
