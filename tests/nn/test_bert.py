"""The bundled model's reader: padding is not seen, order is, and the pooled vector sums it up."""

import torch
from torch import Tensor

from sfumato.nn.bert import Adapter, Bert, TextTower
from sfumato.spec import BertConfig

SMALL = BertConfig(
    vocab=30, length=8, positions=16, layers=2, width=12, heads=3, hidden=20, adapter=2
)
IDS = torch.tensor([[2, 7, 9, 3, 0, 0], [2, 5, 6, 7, 8, 3]])
MASK = IDS != 0


def tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(SMALL).eval().requires_grad_(False)


def test_shapes_are_those_of_the_config() -> None:
    context, pooled = tower()(IDS, MASK)
    assert context.shape == (2, 6, 12)
    assert pooled.shape == (2, 12)


def test_padding_changes_nothing() -> None:
    model = tower()
    context, pooled = model(IDS, MASK)
    short, short_pooled = model(IDS[:1, :4], MASK[:1, :4])
    torch.testing.assert_close(context[:1, :4], short)
    torch.testing.assert_close(pooled[:1], short_pooled)


def test_what_stands_in_the_padding_does_not_count() -> None:
    model = tower()
    other = IDS.clone()
    other[0, 4:] = 17
    context, pooled = model(IDS, MASK)
    changed, changed_pooled = model(other, MASK)
    assert torch.equal(context[0, :4], changed[0, :4])
    assert torch.equal(pooled, changed_pooled)


def test_every_word_is_seen_by_every_other() -> None:
    model = tower()
    other = IDS.clone()
    other[1, 4] = 11
    moved = (model(IDS, MASK)[0] - model(other, MASK)[0])[1].abs().amax(-1)
    assert (moved > 1e-5).all()


def test_the_order_of_the_words_counts() -> None:
    model = tower()
    swapped = IDS[:, [0, 2, 1, 3, 4, 5]]
    assert (model(IDS, MASK)[1] - model(swapped, MASK)[1]).abs().max() > 1e-4


def test_the_pooled_vector_is_of_the_means_before_and_after() -> None:
    torch.manual_seed(0)
    adapter = Adapter(SMALL).eval().requires_grad_(False)
    states = torch.randn(2, 6, 12, generator=torch.Generator().manual_seed(0))
    context, pooled = adapter(states, MASK)

    def mean(x: Tensor, i: int) -> Tensor:
        return x[i, MASK[i]].mean(0)

    for i in range(2):
        want = adapter.pool(torch.cat([mean(states, i), mean(context, i)]))
        torch.testing.assert_close(pooled[i], want)


def test_an_adapter_of_no_layers_hands_the_states_on() -> None:
    config = BertConfig(width=12, heads=3, hidden=20, adapter=0)
    states = torch.randn(1, 6, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Adapter(config)(states, MASK[:1])[0], states)


def test_the_published_size_is_that_of_minilm() -> None:
    with torch.device("meta"):
        model = Bert(BertConfig())
    assert sum(p.numel() for p in model.parameters()) == 22_565_376
