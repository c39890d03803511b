"""Of a repository's files those are fetched that make one model; never one that may hold code."""

import pytest

from sfumato.errors import RequestError
from sfumato.shelves.choice import chosen, variants

STEM = "diffusion_pytorch_model"
FOLDER = {
    "model_index.json": 1,
    "whole.safetensors": 7,
    "scheduler/scheduler_config.json": 1,
    "tokenizer/vocab.json": 1,
    "tokenizer/merges.txt": 1,
    "text_encoder/config.json": 1,
    "text_encoder/model.safetensors": 4,
    "text_encoder/model.fp16.safetensors": 2,
    "unet/config.json": 1,
    f"unet/{STEM}.safetensors": 8,
    f"unet/{STEM}.fp16.safetensors": 4,
    f"unet/{STEM}.non_ema.safetensors": 8,
    f"unet/{STEM}.bin": 8,
    "unet/openvino_model.xml": 3,
    "vae/config.json": 1,
    f"vae/{STEM}.safetensors": 2,
    "safety_checker/model.safetensors": 9,
}


def weights(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(".safetensors")]


def test_a_diffusers_folder_is_taken_in_full_precision_with_its_small_files() -> None:
    names = chosen(FOLDER, (), None)
    assert weights(names) == [
        f"unet/{STEM}.safetensors",
        f"vae/{STEM}.safetensors",
        "text_encoder/model.safetensors",
    ]
    small = set(names) - set(weights(names))
    assert small == {name for name in FOLDER if name.endswith((".json", ".txt"))}
    assert not any(name.endswith((".bin", ".xml")) for name in names)
    assert variants(list(FOLDER)) == ["fp16", "non_ema"]


def test_a_variant_is_taken_where_a_part_has_it() -> None:
    assert weights(chosen(FOLDER, (), "fp16")) == [
        f"unet/{STEM}.fp16.safetensors",
        f"vae/{STEM}.safetensors",  # which has no other
        "text_encoder/model.fp16.safetensors",
    ]
    with pytest.raises(RequestError, match=r"variant 'fp8'.* --variant: fp16, non_ema"):
        chosen(FOLDER, (), "fp8")


def test_a_part_that_has_one_variant_alone_is_taken_in_it() -> None:
    files = {"model_index.json": 1, f"unet/{STEM}.fp16.safetensors": 1}
    assert chosen(files, (), None) == list(files)


@pytest.mark.parametrize(
    "index",
    [f"unet/{STEM}.safetensors.index.json", f"unet/{STEM}.safetensors.index.fp16.json"],
)
def test_shards_come_with_their_index(index: str) -> None:
    mark = ".fp16" if "fp16" in index else ""
    shards = [f"unet/{STEM}{mark}-0000{i}-of-00002.safetensors" for i in (1, 2)]
    files = {"model_index.json": 1, index: 1, **dict.fromkeys(shards, 1)}
    assert chosen(files, (), mark.lstrip(".") or None) == list(files)


def test_the_only_file_is_taken_and_several_are_named() -> None:
    assert chosen({"fox.safetensors": 1, "fox.ckpt": 1}, (), None) == ["fox.safetensors"]
    with pytest.raises(
        RequestError, match=r"2 model files; choose with --file:\na\.gguf .*, b\.saf"
    ):
        chosen({"b.safetensors": 1, "a.gguf": 1}, (), None)


def test_a_part_alone_comes_with_its_settings() -> None:
    files = {f"{STEM}.safetensors": 1, "config.json": 1, f"{STEM}.bin": 1}
    assert chosen(files, (), None) == ["config.json", f"{STEM}.safetensors"]


@pytest.mark.parametrize(
    "files",
    [
        {"fox.ckpt": 1},
        {"model_index.json": 1, f"unet/{STEM}.bin": 1},
        {"model_index.json": 1, "fox.ckpt": 1},
    ],
)
def test_pickles_are_fetched_by_name_alone(files: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="may hold code"):
        chosen(files, (), None)
    pickle = list(files)[-1]
    assert chosen(files, (pickle,), None) == [pickle]


def test_names_and_patterns_are_taken_once_each_and_must_fit() -> None:
    files = {"a.safetensors": 1, "b.safetensors": 1, "[c].safetensors": 1}
    assert chosen(files, ("a.*", "*.safetensors"), None) == list(files)
    assert chosen(files, ("[c].safetensors",), None) == ["[c].safetensors"]
    with pytest.raises(RequestError, match="no file 'd'"):
        chosen(files, ("a.*", "d"), None)


def test_a_repository_without_a_model_is_told() -> None:
    with pytest.raises(RequestError, match="holds no model file"):
        chosen({"README.md": 1}, (), None)
