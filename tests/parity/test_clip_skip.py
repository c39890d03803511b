"""A prompt heard from an earlier layer of CLIP is heard as diffusers' pipeline hears it.

diffusers counts from 0, so that its 1 is our 2, and hears negative prompts from the last layer
whatever is asked; ours are therefore compared with what it makes of the same words as a prompt.
"""

from dataclasses import replace
from typing import Any

import diffusers
import pytest
import torch

from sfumato.errors import RequestError
from sfumato.families.base import Reading
from sfumato.families.sd import StableDiffusion
from sfumato.hearing import stages
from sfumato.nn.clip import ClipText
from sfumato.pipeline import generate
from sfumato.spec import ClipConfig
from tests.parity.small import NEGATIVE, PROMPT, SIZE, make_parts, saved_and_loaded, settled

REQUEST = settled(
    prompt=PROMPT,
    negative=NEGATIVE,
    seed=7,
    steps=2,
    guidance=7.5,
    sampler="euler",
    schedule="normal",
    width=SIZE,
    height=SIZE,
)


@pytest.fixture(scope="module")
def pipe(randomised: Any) -> Any:
    pipe = diffusers.StableDiffusionPipeline(**make_parts(randomised))
    if not hasattr(pipe.text_encoder, "text_model"):
        # diffusers looks for the last norm where transformers had it before its version 5. Not a
        # submodule, so that the encoder is saved as it is.
        object.__setattr__(pipe.text_encoder, "text_model", pipe.text_encoder)
    return pipe


@pytest.fixture(scope="module")
def model(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    return saved_and_loaded(pipe, tmp_path_factory.mktemp("pipe") / "model")


@pytest.mark.parametrize("skip", [1, 2])
def test_both_prompts_are_those_of_diffusers(
    skip: int, pipe: Any, model: StableDiffusion, relative: Any
) -> None:
    (stage,) = stages(model, replace(REQUEST, clip_skip=skip))
    ((positive, _),) = stage.positives
    for ours, words in ((positive, PROMPT), (stage.negative, NEGATIVE)):
        theirs = pipe.encode_prompt(words, "cpu", 1, False, clip_skip=skip - 1)[0].detach()
        usual = pipe.encode_prompt(words, "cpu", 1, False)[0].detach()
        assert relative(ours.context, theirs) <= 1e-5
        assert (relative(ours.context, usual) > 1e-2) == (skip > 1)


def test_it_makes_another_picture_and_1_the_same(model: StableDiffusion) -> None:
    one, two = (
        [step.x for step in generate(model, replace(REQUEST, clip_skip=skip))][-1]
        for skip in (1, 2)
    )
    usual = [step.x for step in generate(model, REQUEST)][-1]
    assert torch.equal(one, usual)
    assert not torch.equal(two, usual)


def test_more_layers_than_there_are_are_refused(model: StableDiffusion) -> None:
    with pytest.raises(RequestError, match="clip_skip is 3, but Small has no more than 2 layers"):
        generate(model, replace(REQUEST, clip_skip=3))


@pytest.mark.parametrize("weighting", ["a1111", "comfy"])
def test_weighed_words_are_of_that_layer_too(weighting: str, model: StableDiffusion) -> None:
    read = [
        model.encode(["a (red:0) fox"], "", (SIZE, SIZE), Reading(weighting, skip=skip))
        for skip in (1, 2)
    ]
    empty = [
        model.encode([""], "", (SIZE, SIZE), Reading(weighting, skip=skip))[0][0].context
        for skip in (1, 2)
    ]
    if weighting == "comfy":  # a word that weighs nothing is that of the empty prompt
        for ((positive,), _), none in zip(read, empty, strict=True):
            assert torch.allclose(positive.context[:, 2], none[:, 2], atol=1e-6)
    assert not torch.allclose(read[0][0][0].context, read[1][0][0].context, atol=1e-2)


def test_2_is_one_before_the_published_layer_where_that_is_not_the_last() -> None:
    torch.manual_seed(0)
    config = ClipConfig(vocab=120, length=8, layers=4, width=16, heads=2, hidden=32, take=-2)
    published = ClipText(config).eval()
    cut = ClipText(replace(config, layers=3, take=-1)).eval()  # as diffusers saves it
    cut.load_state_dict(published.state_dict(), strict=False)
    earlier = ClipText(replace(config, take=-3)).eval()
    earlier.load_state_dict(published.state_dict())
    ids = torch.tensor([[118, 5, 17, 63, 119, 0, 0, 0]])
    with torch.no_grad():
        two = published(ids, skip=2)[0]
        assert torch.equal(two, earlier(ids)[0])
        assert torch.equal(two, cut(ids, skip=2)[0])
        assert not torch.equal(two, published(ids)[0])
