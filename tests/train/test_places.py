"""Whoever learns what stands where must tell "above" from "below" by the order of the words."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sfumato.nn.bert import Adapter
from sfumato.train.captions import ENDS, Facts, plain
from sfumato.train.denoiser import DenoiserConfig, DenoiserTask
from sfumato.train.muon import Muon, MuonConfig
from sfumato.train.places import PLACES, Places
from sfumato.train.start import start
from tests.train import tiny

CODES = list(tiny.SUBJECTS)
DOG, CAR = CODES[:2]


def lesson() -> Places:
    places = Places(tiny.TEXT.width, CODES)
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


def test_a_lesson_is_a_part_of_the_loss_by_its_weight_and_trained_with_the_rest() -> None:
    config = DenoiserConfig(batch=4, length=tiny.reader().tokenizer.length)

    def task(weight: float) -> DenoiserTask[Facts]:
        return DenoiserTask(
            tiny.SPEC,
            replace(config, places=weight),
            tiny.reader(),
            tiny.denoiser().words,
            tiny.banks(),
            lesson=lesson() if weight else None,
            precision=torch.float32,
        )

    none, some, twice = (task(weight).loss(1).item() for weight in (0.0, 0.5, 1.0))
    assert some > none
    assert twice - none == pytest.approx(2 * (some - none), rel=1e-4)
    assert set(task(0.5).modules) == {"unet", "adapter", "lesson"}
    assert set(task(0.0).modules) == {"unet", "adapter"}
