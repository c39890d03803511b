"""Which embeddings a request hears, and that a recipe's are found again or missed aloud."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.embedding import Embedding, embeddings_from_text, embeddings_to_text
from sfumato.errors import PromptError, RequestError, WeightsError
from sfumato.request import Request
from sfumato.request_json import from_dict, to_dict
from sfumato.vocabulary import Taker, Vocabulary

SD1, SD2 = Taker("v1.safetensors", {"": 768}), Taker("v2.safetensors", {"": 1024})


def put(folder: Path, name: str, *, width: int = 768, fill: float = 0.0) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    save_file({"emb_params": torch.full((2, width), fill)}, path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """By the names that shelves give."""
    names = ["EasyNegative.safetensors", "hands/bad-hands-5.safetensors", "toy/learned_embeds.pt"]
    for name in names[:2]:
        put(tmp_path, name)
    (tmp_path / "toy").mkdir()
    torch.save({"<toy>": torch.ones(768)}, tmp_path / names[2])
    return {name: tmp_path / name for name in names}


def heard(files: dict[str, Path], taker: Taker = SD1, **request: object) -> list[Embedding]:
    words = Vocabulary(files.items()).heard(Request(**request), taker)  # pyright: ignore
    assert all(word.embedding.name == word.learnt.name for word in words)
    return [word.embedding for word in words]


def test_those_are_heard_that_either_prompt_names(files: dict[str, Path]) -> None:
    found = heard(files, prompt="a toy, (BAD-HANDS-5:1.2)", negative="[x:easynegative:0.5]")
    assert [each.name for each in found] == ["toy", "bad-hands-5", "EasyNegative"]
    assert found[2].sha256 == digest(files["EasyNegative.safetensors"])
    assert heard(files, prompt="a cat") == []
    assert heard({}, prompt="easynegative") == []
    assert heard(files, prompt="<lora:easynegative:1>") == []
    plain = heard(files, prompt="(easynegative)", weighting="plain")
    assert [each.name for each in plain] == ["EasyNegative"]


def test_what_is_asked_for_by_name_and_missing_is_refused_with_the_nearest(
    files: dict[str, Path],
) -> None:
    with pytest.raises(PromptError, match=r"embedding 'easynegativ'.*mean EasyNegative\?"):
        heard(files, prompt="embedding:easynegativ")
    with pytest.raises(PromptError, match="embedding 'ghost'"):
        heard({}, negative="<embedding:ghost>")


def test_a_request_that_says_which_hears_those_alone(files: dict[str, Path]) -> None:
    both = "easynegative, bad-hands-5"
    assert heard(files, prompt=both, embeddings=()) == []
    (one,) = heard(files, prompt=both, embeddings=(Embedding("easynegative"),))
    assert one == Embedding("EasyNegative", digest(files["EasyNegative.safetensors"]))
    assert heard(files, prompt="a cat", embeddings=(Embedding("easynegative"),)) == []
    with pytest.raises(RequestError, match="wants the embedding 'ghost', and no folder"):
        heard(files, prompt="ghost", embeddings=(Embedding("ghost"),))


def test_a_hash_finds_its_file_under_another_name(files: dict[str, Path], tmp_path: Path) -> None:
    ink = put(tmp_path, "ink-final.safetensors", fill=0.5)
    files["ink-final.safetensors"] = ink
    for part in (digest(ink), digest(ink)[:12]):
        (found,) = heard(files, prompt="ink", embeddings=(Embedding("ink", part),))
        assert found == Embedding("ink", digest(ink))
    with pytest.raises(RequestError, match=r"'ink' .sha256 000000000000…., and no folder"):
        heard(files, prompt="ink", embeddings=(Embedding("ink", "0" * 64),))


def test_another_file_of_that_name_is_not_taken_for_it(files: dict[str, Path]) -> None:
    wanted = Embedding("EasyNegative", "f" * 64)
    with pytest.raises(RequestError, match="of sha256 ffffffffffff…, and the one here has"):
        heard(files, prompt="easynegative", embeddings=(wanted,))


def test_of_several_of_one_name_the_one_that_fits_the_model_is_meant(
    files: dict[str, Path], tmp_path: Path
) -> None:
    files["sd2/easynegative.safetensors"] = put(
        tmp_path, "sd2/easynegative.safetensors", width=1024
    )
    (one,) = heard(files, SD2, prompt="easynegative")
    assert one.sha256 == digest(files["sd2/easynegative.safetensors"])
    (one,) = heard(files, SD1, prompt="easynegative")
    assert one.sha256 == digest(files["EasyNegative.safetensors"])
    other = put(tmp_path, "old/easynegative.safetensors", fill=0.1)
    files["old/easynegative.safetensors"] = other
    with pytest.raises(RequestError, match="2 different embeddings named EasyNegative"):
        heard(files, SD1, prompt="easynegative")
    other.write_bytes(files["EasyNegative.safetensors"].read_bytes())
    assert len(heard(files, SD1, prompt="easynegative")) == 1


def test_one_for_another_kind_of_model_is_refused_and_not_read_as_words(
    files: dict[str, Path],
) -> None:
    with pytest.raises(WeightsError, match="EasyNegative is an embedding for Stable Diffusion 1"):
        heard(files, SD2, prompt="easynegative")


def test_to_a_model_that_takes_none_a_name_is_a_word_unless_it_is_asked_for(
    files: dict[str, Path],
) -> None:
    mini = Taker("mini", {})
    assert heard(files, mini, prompt="easynegative") == []
    assert heard(files, mini, prompt="embedding:easynegative", embeddings=()) == []
    with pytest.raises(PromptError, match="embedding 'easynegative', and mini takes none"):
        heard(files, mini, prompt="embedding:easynegative")
    with pytest.raises(PromptError, match="mini takes none"):
        heard(files, mini, prompt="easynegative", embeddings=(Embedding("easynegative"),))


def test_they_go_into_json_and_into_a1111s_words_and_back() -> None:
    given = (Embedding("ink", "ab" * 32), Embedding("a: b"))
    request = Request("ink", embeddings=given)
    assert from_dict(to_dict(request)) == request
    assert from_dict({"prompt": "ink"}).embeddings is None
    assert embeddings_to_text(given) == "ink: abababababab, a: b"
    assert embeddings_from_text("ink: abababababab, a: b") == (
        Embedding("ink", "ab" * 6),
        Embedding("a: b"),
    )


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ([], "must be a tuple"),
        (("ink",), "must be a tuple of Embedding"),
        ((Embedding("ink"), Embedding("INK")), "one embedding twice"),
        (tuple(Embedding(str(n)) for n in range(101)), "100 at the most"),
    ],
)
def test_what_is_no_list_of_embeddings_is_refused(value: object, match: str) -> None:
    with pytest.raises(RequestError, match=match):
        Request("ink", embeddings=value)  # pyright: ignore


@pytest.mark.parametrize(
    "row",
    [{}, {"name": ""}, {"name": 3}, {"name": "x", "more": 1}, "x", {"name": "x", "sha256": "q"}],
)
def test_json_that_is_no_embedding_is_refused(row: object) -> None:
    with pytest.raises(RequestError, match="embeddings"):
        from_dict({"prompt": "x", "embeddings": [row]})
    with pytest.raises(RequestError, match="must be a list"):
        from_dict({"prompt": "x", "embeddings": "x"})
