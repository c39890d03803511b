"""Embeddings in each form that is in circulation, and what only looks like one."""

import pickle
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.errors import WeightsError
from sfumato.weights.learnt import open_learnt
from sfumato.weights.reader import Reader

VECTORS = torch.randn(3, 768, generator=torch.Generator().manual_seed(0))


def written(folder: Path, name: str, values: object) -> Path:
    path = folder / name
    if path.suffix == ".safetensors":
        save_file(values, path)  # pyright: ignore
    else:
        torch.save(values, path)
    return path


def a1111() -> dict[str, object]:
    return {
        "string_to_token": {"*": 265},
        "string_to_param": {"*": VECTORS},
        "name": "ink",
        "step": 3000,
        "sd_checkpoint": "4bdfc29c",
        "sd_checkpoint_name": "v2",
    }


def first_published() -> dict[str, object]:
    """The first code put torch's own ParameterDict there, a module."""
    shelf = torch.nn.ParameterDict({"*": torch.nn.Parameter(VECTORS)})
    return {"string_to_token": {"*": torch.tensor(265)}, "string_to_param": shelf}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ink.pt", a1111()),
        ("ink.pt", first_published()),
        ("ink.safetensors", {"emb_params": VECTORS}),
        ("ink.bin", {"<ink>": VECTORS}),
        ("ink.safetensors", {"<ink>": VECTORS}),
    ],
    ids=["a1111", "ParameterDict", "emb_params", "learned_embeds.bin", "learned_embeds"],
)
def test_every_form_gives_the_same_vectors(tmp_path: Path, name: str, values: object) -> None:
    learnt = open_learnt(written(tmp_path, name, values))
    assert (learnt.name, learnt.count, learnt.widths) == ("ink", 3, {"": 768})
    assert torch.equal(Reader().read(learnt.parts[""]), VECTORS)
    assert learnt.fits({"": 768})


def test_one_vector_alone_may_lie_without_a_row(tmp_path: Path) -> None:
    learnt = open_learnt(written(tmp_path, "ink.bin", {"<ink>": VECTORS[0]}))
    assert (learnt.count, learnt.widths) == (1, {"": 768})


@pytest.mark.parametrize("names", [("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1")])
def test_that_of_xl_has_a_part_for_each_encoder(tmp_path: Path, names: tuple[str, str]) -> None:
    values = dict(zip(names, (torch.zeros(2, 768), torch.ones(2, 1280)), strict=True))
    learnt = open_learnt(written(tmp_path, "ink.safetensors", values))
    assert (learnt.count, dict(learnt.widths)) == (2, {"clip_l": 768, "clip_g": 1280})
    assert learnt.fits({"clip_l": 768, "clip_g": 1280})
    assert learnt.fits({"clip_g": 1280})  # the refiner


def test_one_for_another_model_is_told_with_the_widths_of_both(tmp_path: Path) -> None:
    learnt = open_learnt(written(tmp_path, "ink.pt", a1111()))
    assert not learnt.fits({"": 1024})
    assert not learnt.fits({"clip_l": 768, "clip_g": 1280})
    assert not learnt.fits({})
    with pytest.raises(WeightsError) as told:
        learnt.require({"clip_l": 768, "clip_g": 1280}, "pony.safetensors")
    assert "ink is an embedding for Stable Diffusion 1 (words of 768)" in str(told.value)
    assert "pony.safetensors takes Stable Diffusion XL" in str(told.value)
    with pytest.raises(WeightsError, match="mini takes none"):
        learnt.require({}, "mini")


@pytest.mark.parametrize(
    "values",
    [
        {"a": VECTORS, "b": VECTORS + 1},
        {"clip_l": torch.zeros(2, 768), "clip_g": torch.zeros(3, 1280)},
        {"clip_l": torch.zeros(2, 768), "other": torch.zeros(2, 768)},
        {"emb_params": torch.zeros(0, 768)},
        {"emb_params": torch.zeros(1, 3, 768)},
        {"emb_params": torch.zeros(2, 768, dtype=torch.int32)},
        {"lora_unet.lora_down.weight": VECTORS, "lora_unet.lora_up.weight": VECTORS + 1},
    ],
)
def test_what_is_no_embedding_says_what_it_holds(
    tmp_path: Path, values: dict[str, torch.Tensor]
) -> None:
    with pytest.raises(WeightsError, match=r"is not an embedding: it holds [\w.]+ \("):
        open_learnt(written(tmp_path, "ink.safetensors", values))


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("run",)


@pytest.mark.parametrize("where", ["string_to_param", "name"])
def test_code_in_one_never_runs(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match=r"holds code, which is never run here: .*print"):
        open_learnt(written(tmp_path, "ink.pt", {**a1111(), where: Evil()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "params", [None, {}, 3, OrderedDict(), {"*": "text"}, torch.nn.ParameterDict(), {"*": {}}]
)
def test_one_without_vectors_is_refused(tmp_path: Path, params: object) -> None:
    with pytest.raises(WeightsError):
        open_learnt(written(tmp_path, "ink.pt", {**a1111(), "string_to_param": params}))


def test_a_cut_file_and_a_picture_are_told_as_such(tmp_path: Path) -> None:
    whole = written(tmp_path, "ink.pt", a1111()).read_bytes()
    cut = tmp_path / "cut.pt"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="corrupt or cut short"):
        open_learnt(cut)
    (tmp_path / "ink.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(WeightsError, match="a PNG picture"):
        open_learnt(tmp_path / "ink.png")
    old = tmp_path / "old.pt"
    old.write_bytes(pickle.dumps({"string_to_param": {}}))
    with pytest.raises(WeightsError, match=r"torch before 1\.6"):
        open_learnt(old)
