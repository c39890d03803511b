"""Whoever learns what stands where must tell "above" from "below" by the order of the words."""

import pytest
import torch
from torch import Tensor

from sfumato.nn.bert import Adapter
from sfumato.train.captions import ENDS, Facts, plain
from sfumato.train.denoiser import DenoiserConfig, DenoiserTask
from sfumato.train.machine import Machine
from sfumato.train.muon import Muon, MuonConfig
from sfumato.train.places import PLACES, Places
from sfumato.train.start import start
from tests.train import tiny

CODES = list(tiny.SUBJECTS)
DOG, CAR = CODES[:2]


def lesson(share: float = 0.0) -> Places:
    places = Places(tiny.TEXT.width, CODES, share)
    start(places, 0)
    return places


def states(rows: int, length: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(length)[None] < torch.tensor([[length - 2]]).expand(rows, 1)
    return torch.randn(rows, length, tiny.TEXT.width, generator=generator), mask


def test_padding_is_not_looked_at() -> None:
    places, (context, mask) = lesson(), states(2)
    other = context.clone()
    other[:, -2:] = 9.0
    assert torch.equal(places(context, mask), places(other, mask))
    assert places(context, mask).shape == (2, len(PLACES), len(CODES))


@pytest.mark.parametrize(
    ("where", "place"),
    [
        ("above", "top"),
        ("below", "bottom"),
        ("to the left of", "left"),
        ("to the right of", "right"),
    ],
)
def test_the_first_of_two_is_asked_for_where_it_stands(where: str, place: str) -> None:
    places, (context, mask) = lesson(), states(1)
    logits = places(context, mask)[0]
    first, second = ENDS[where]
    want = [
        -logits[PLACES.index(at)].log_softmax(0)[CODES.index(code)]
        for at, code in ((first, DOG), (second, CAR))
    ]
    found = places.loss(context, mask, [Facts(DOG, "3d", relation=(where, CAR))])
    torch.testing.assert_close(found, torch.stack(want).mean())


def test_sides_that_no_word_tells_are_not_asked_for() -> None:
    places, (context, mask) = lesson(), states(1)
    assert places.loss(context, mask, [Facts(DOG, "3d", relation=("next to", CAR))]).item() == 0
    assert places.loss(context, mask, [Facts(DOG, "3d")]).item() > 0


def test_an_adapter_learns_who_stands_above() -> None:
    """The same words in another order: without the lesson nothing tells the two apart."""
    reader, adapter, places = tiny.reader(), Adapter(tiny.TEXT), lesson()
    start(adapter, 1)
    some = [Facts(a, "3d", relation=("above", b)) for a, b in ((DOG, CAR), (CAR, DOG))]
    read = reader.read([plain(facts, tiny.SUBJECTS) for facts in some])
    modules = {"layers": adapter.layers, "lesson": places}
    named = [(f"{m}.{n}", p) for m, module in modules.items() for n, p in module.named_parameters()]
    muon = Muon(named, MuonConfig(rate=0.02, adam=5e-3), plain=("lesson.",))
    losses: list[float] = []
    for step in range(1, 151):
        loss = places.loss(adapter(read.states, read.mask)[0], read.mask, some)
        loss.backward()
        muon.step(step, 1.0)
        losses.append(loss.item())
    assert losses[0] > 0.6
    assert losses[-1] < 0.05


def test_both_must_be_answered_for_where_they_stand() -> None:
    places, (context, mask) = lesson(), states(2)
    told = [Facts(DOG, "3d", relation=("above", CAR)), Facts(CAR, "3d", relation=("next to", DOG))]
    with torch.no_grad():
        places.name.weight.zero_()
        places.name.bias[:] = torch.eye(len(CODES))[0]  # always the dog
    assert places.right(context, mask, told) == [False, True]
    assert places.right(context, mask, [Facts(DOG, "3d"), Facts(CAR, "3d")]) == [True, False]


def test_a_lesson_is_trained_by_its_share_and_told_apart_from_the_pictures_error() -> None:
    def task(share: float) -> DenoiserTask[Facts]:
        return DenoiserTask(
            tiny.SPEC,
            DenoiserConfig(batch=4, length=tiny.reader().tokenizer.length),
            tiny.reader(),
            tiny.denoiser().words,
            tiny.banks(),
            Machine(tiny.CPU, torch.float32),
            lesson=lesson(share) if share else None,
        )

    none, some, twice = (task(share).losses(1) for share in (0.0, 0.5, 1.0))
    assert set(none) == {"loss"}
    assert none["loss"].item() == some["loss"].item() == twice["loss"].item()
    assert twice["lesson"].item() == pytest.approx(2 * some["lesson"].item(), rel=1e-6)
    assert set(task(0.5).modules) == {"unet", "adapter", "lesson"}
    assert set(task(0.0).modules) == {"unet", "adapter"}
