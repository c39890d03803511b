"""Weights lead words up or down, by either tool's rule; without weights nothing changes at all."""

import pytest
import torch

from sfumato.errors import PromptError
from sfumato.families.emphasis import emphasised
from sfumato.text.clip import BEGIN, END, ClipTokenizer
from sfumato.text.prompt import Fragment, read_weights

STATES = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)) + 0.3
EMPTY = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
ONES = [[1.0] * 4, [1.0] * 4]


@pytest.mark.parametrize("weighting", ["a1111", "comfy", "plain"])
def test_a_prompt_without_weights_stays_as_it_is(weighting: str) -> None:
    assert emphasised(STATES, ONES, weighting, lambda: EMPTY) is STATES


def test_by_a1111s_rule_a_chunk_keeps_its_mean() -> None:
    weights = [[1.0, 1.3, 0.8, 1.0], [1.0] * 4]
    found = emphasised(STATES, weights, "a1111", lambda: EMPTY)
    weighed = STATES[0] * torch.tensor(weights[0])[:, None]
    torch.testing.assert_close(found[0], weighed * (STATES[0].mean() / weighed.mean()))
    assert torch.equal(found[1], STATES[1])


def test_by_comfys_rule_a_word_is_led_away_from_silence() -> None:
    weights = [[1.0, 1.5, 0.0, 1.0], [1.0, 1.0, 1.0, -1.0]]
    found = emphasised(STATES, weights, "comfy", lambda: EMPTY)
    torch.testing.assert_close(found[0, 1], EMPTY[1] + 1.5 * (STATES[0, 1] - EMPTY[1]))
    torch.testing.assert_close(found[0, 2], EMPTY[2])
    torch.testing.assert_close(found[1, 3], 2 * EMPTY[3] - STATES[1, 3])
    torch.testing.assert_close(found[0, 0], STATES[0, 0])


def test_plain_brackets_are_letters() -> None:
    assert read_weights("a (red) fox", "plain") == ((Fragment("a (red) fox"),),)
    assert read_weights("a (red) fox", "comfy")[0][1] == Fragment("red", 1.1)


def test_each_token_of_a_fragment_has_its_weight_and_marks_have_one() -> None:
    tokenizer = ClipTokenizer()
    (chunk,) = tokenizer.weighted(read_weights("a (red fox:1.4) sat", "a1111"), 8)
    assert chunk.ids == tokenizer.encode("a red fox sat", 8)
    assert chunk.weights == (1, 1, 1.4, 1.4, 1, 1, 1, 1)


def test_break_fills_up_a_chunk_and_long_prompts_make_more() -> None:
    tokenizer = ClipTokenizer(pad=0)
    one, two = tokenizer.weighted(read_weights("a cat BREAK (a dog)", "a1111"), 6)
    assert one.ids[0] == two.ids[0] == BEGIN
    assert one.ids[3:] == two.ids[3:] == (END, 0, 0)
    assert (one.weights[1], two.weights[1]) == (1, 1.1)
    many = tokenizer.weighted(read_weights("(cat)" + " dog" * 80, "a1111"))
    assert [chunk.ids for chunk in many] == list(tokenizer.chunks("cat" + " dog" * 80))
    assert many[0].weights[1] == 1.1
    assert set(many[1].weights) == {1.0}
    assert tokenizer.weighted(((),), 5) == tokenizer.weighted(read_weights("", "a1111"), 5)


def test_a_weight_beyond_all_numbers_is_refused_by_the_words_that_it_weighs() -> None:
    heap = "(" * 8000 + "red"
    with pytest.raises(PromptError, match='around "red" weigh it without end'):
        read_weights(heap, "a1111")
    assert read_weights(heap, "plain") == ((Fragment(heap),),)
