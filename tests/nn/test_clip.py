"""The text encoder looks only backwards, and pools where the prompt ends."""

import torch

from sfumato.nn.clip import ClipText
from sfumato.spec import ClipConfig

SMALL = ClipConfig(vocab=50, length=12, layers=2, width=16, heads=2, hidden=32)


def test_context_and_pooled_have_the_shapes_of_the_config() -> None:
    ids = torch.randint(0, 50, (3, 12))
    context, pooled = ClipText(SMALL)(ids)
    assert context.shape == (3, 12, 16)
    assert pooled.shape == (3, 16)


def test_a_token_does_not_see_those_after_it() -> None:
    torch.manual_seed(0)
    model = ClipText(SMALL)
    ids = torch.randint(0, 49, (1, 12))
    other = ids.clone()
    other[0, 7] = (ids[0, 7] + 1) % 49
    before, after = model(ids)[0], model(other)[0]
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_the_pooled_state_is_that_of_the_first_end_mark() -> None:
    torch.manual_seed(0)
    model = ClipText(SMALL)
    ids = torch.tensor([[1, 5, 6, 49, 49, 49], [1, 49, 3, 49, 0, 0]])
    context, pooled = model(ids)
    assert torch.equal(pooled[0], context[0, 3])
    assert torch.equal(pooled[1], context[1, 1])


def test_a_short_row_of_tokens_is_read() -> None:
    assert ClipText(SMALL)(torch.zeros(1, 4, dtype=torch.long))[0].shape == (1, 4, 16)
