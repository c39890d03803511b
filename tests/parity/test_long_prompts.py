"""Long and weighed prompts on SD 3 and Flux: what transformers' encoders say, by the tools' rules.

The rules are worked out here by themselves: chunks and mean as in AUTOMATIC1111's web UI and Forge
(backend/text_processing), the way from an empty prompt as in ComfyUI (comfy/sd1_clip.py,
ClipTokenWeightEncoder; comfy/text_encoders/sd3_clip.py and flux.py), each encoder by itself.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from sfumato.errors import PromptError
from sfumato.families.base import Reading
from sfumato.families.flux import FluxModel
from sfumato.families.sd3 import StableDiffusion3
from sfumato.request import Request
from sfumato.vocabulary import Taker, Vocabulary
from tests.parity.small_flux import DEV
from tests.parity.small_flux import pipe_of as flux_pipe
from tests.parity.small_sd3 import SPEC
from tests.parity.small_sd3 import pipe_of as sd3_pipe
from tests.parity.transformed import CONTEXT, HEIGHT, WIDTH, saved_and_opened

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)

ROOM = 75
SIZE = (WIDTH, HEIGHT)
WEIGHED = "a red (fox:1.5), in the [snow]"
WORDS = "a red fox, in the snow"
WEIGHTS = (1.0, 1.0, 1.5, 1.0, 1.0, 1.0, 1 / 1.1)  # of its seven tokens, to both tokenizers


@pytest.fixture(scope="module")
def sd3(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, StableDiffusion3]:
    pipe = sd3_pipe(randomised, with_t5=True)
    return pipe, saved_and_opened(pipe, SPEC, tmp_path_factory.mktemp("sd3") / "model")


@pytest.fixture(scope="module")
def flux(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, FluxModel]:
    pipe = flux_pipe(randomised, DEV)
    return pipe, saved_and_opened(pipe, DEV, tmp_path_factory.mktemp("flux") / "model")


def framed(tokenizer: Any, ids: Sequence[int]) -> list[int]:
    row = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id]
    return row + [tokenizer.pad_token_id] * (ROOM + 2 - len(row))


def clip_rows(tokenizer: Any, text: str) -> list[list[int]]:
    """A text without commas in chunks, and the row of an empty prompt behind them."""
    ids = tokenizer(text)["input_ids"][1:-1]
    cut = [ids[i : i + ROOM] for i in range(0, max(len(ids), 1), ROOM)]
    return [framed(tokenizer, each) for each in [*cut, []]]


@torch.no_grad()
def clip(encoder: Any, rows: list[list[int]]) -> tuple[Tensor, Tensor]:
    """The states of the last layer but one, a chunk a row, and the pooled state of the first."""
    said = encoder(torch.tensor(rows), output_hidden_states=True)
    pooled = said.text_embeds if hasattr(said, "text_embeds") else said.pooler_output
    return said.hidden_states[-2], pooled[:1]


@torch.no_grad()
def t5(pipe: Any, name: str, text: str, length: int) -> Tensor:
    ids = [*getattr(pipe, f"tokenizer_{name}")(text)["input_ids"]]
    row = torch.tensor([ids + [0] * (length - len(ids))])
    return getattr(pipe, f"text_encoder_{name}")(row)[0]


def weighed(states: Tensor, empty: Tensor, first: int, rule: str) -> Tensor:
    """States (1, L, D) with the weights of `WEIGHED`, whose words begin at token ``first``."""
    weights = torch.ones(states.shape[1])
    weights[first : first + len(WEIGHTS)] = torch.tensor(WEIGHTS)
    factor = weights[None, :, None]
    if rule == "comfy":
        return empty + (states - empty) * factor
    heavy = states * factor
    return heavy * (states.mean() / heavy.mean())


def test_sd3_reads_a_long_prompt_by_chunks_and_t5_reads_it_whole(
    sd3: tuple[Any, StableDiffusion3], relative: Any
) -> None:
    pipe, model = sd3
    text = "red fox " * 150  # 300 tokens, four chunks
    (heard,), negative = model.encode([text], "grey", SIZE)
    sides, pooled = [], []
    for tokenizer, encoder in (
        (pipe.tokenizer, pipe.text_encoder),
        (pipe.tokenizer_2, pipe.text_encoder_2),
    ):
        states, first = clip(encoder, clip_rows(tokenizer, text)[:-1])
        sides.append(states.flatten(0, 1)[None])
        pooled.append(first)
    both = torch.cat(sides, dim=2)
    padded = torch.nn.functional.pad(both, (0, CONTEXT - both.shape[2]))
    expected = torch.cat([padded, t5(pipe, "3", text, 301)], dim=1)
    assert heard.context.shape == negative.context.shape == (1, 4 * 77 + 301, CONTEXT)
    assert relative(heard.context, expected) <= 1e-5
    assert relative(heard.added, torch.cat(pooled, dim=1)) <= 1e-5


@pytest.mark.parametrize("rule", ["a1111", "comfy"])
def test_sd3_weighs_words_by_each_encoders_own_states(
    sd3: tuple[Any, StableDiffusion3], relative: Any, rule: str
) -> None:
    pipe, model = sd3
    (heard, plain), _ = model.encode([WEIGHED, WORDS], "", SIZE, Reading(rule))
    sides = []
    for tokenizer, encoder in (
        (pipe.tokenizer, pipe.text_encoder),
        (pipe.tokenizer_2, pipe.text_encoder_2),
    ):
        states, _ = clip(encoder, clip_rows(tokenizer, WORDS))
        sides.append(weighed(states[:1], states[1:], 1, rule))
    both = torch.cat(sides, dim=2)
    padded = torch.nn.functional.pad(both, (0, CONTEXT - both.shape[2]))
    third = weighed(t5(pipe, "3", WORDS, 256), t5(pipe, "3", "", 256), 0, rule)
    assert relative(heard.context, torch.cat([padded, third], dim=1)) <= 1e-5
    assert relative(heard.context, plain.context) > 1e-3  # the figure tells
    assert torch.equal(heard.added, plain.added)  # no tool weighs the pooled state


@pytest.mark.parametrize("rule", ["a1111", "comfy"])
def test_flux_weighs_what_t5_says_and_clip_hears_the_words_alone(
    flux: tuple[Any, FluxModel], relative: Any, rule: str
) -> None:
    pipe, model = flux
    (heard, plain), _ = model.encode([WEIGHED, WORDS], "", SIZE, Reading(rule))
    expected = weighed(t5(pipe, "2", WORDS, 512), t5(pipe, "2", "", 512), 0, rule)
    assert relative(heard.context, expected) <= 1e-5
    assert relative(heard.context, plain.context) > 1e-3
    assert torch.equal(heard.added, plain.added)


def test_flux_reads_a_long_prompt_whole_by_t5_and_its_first_chunk_by_clip(
    flux: tuple[Any, FluxModel], relative: Any
) -> None:
    pipe, model = flux
    text = "red fox " * 300  # 600 tokens, beyond the 512 that T5's context has at the least
    (heard,), negative = model.encode([text], "grey", SIZE)
    assert heard.context.shape == negative.context.shape == (1, 601, CONTEXT)
    assert relative(heard.context, t5(pipe, "2", text, 601)) <= 1e-5
    rows = clip_rows(pipe.tokenizer, text)
    assert relative(heard.added, clip(pipe.text_encoder, rows[:1])[1]) <= 1e-5


@pytest.mark.parametrize("spec", [SPEC, DEV], ids=["sd3", "flux"])
def test_what_no_embedding_has_words_for_is_refused_by_its_name(spec: Any) -> None:
    """A file for CLIP alone says nothing to T5, which would hear another prompt than CLIP does."""
    taker = Taker("m.safetensors", spec.embeds)
    with pytest.raises(PromptError, match=r"embedding 'easy'.* m\.safetensors takes none"):
        Vocabulary([]).heard(Request("a fox, embedding:easy"), taker)
    assert Vocabulary([]).heard(Request("a fox, easy"), taker) == ()
