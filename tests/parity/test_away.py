"""Leading away from a worse network, PAG and skip-layer guidance, is what diffusers does."""

from typing import Any

import diffusers
import pytest
import torch

from sfumato.diffusion.noise import Noise
from sfumato.errors import RequestError
from sfumato.families.base import WHOLE, Spoiling
from sfumato.families.sd3 import StableDiffusion3
from sfumato.pipeline import generate
from sfumato.request import Request
from tests.parity import small, small_sd3, transformed

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def parts(randomised: Any) -> dict[str, Any]:
    return small.make_parts(randomised)


@pytest.fixture(scope="module")
def model(parts: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("sd") / "model"
    return small.saved_and_loaded(diffusers.StableDiffusionPipeline(**parts), folder)


def wish(**fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": small.PROMPT, "negative": small.NEGATIVE, "seed": 7}
    usual |= {"steps": 4, "guidance": 7.5, "schedule": "normal"}
    return small.settled("euler", width=small.SIZE, height=small.SIZE, **{**usual, **fields})


# diffusers' name for the layers, and their numbers here: four on the way down, then the middle.
@pytest.mark.parametrize(
    ("named", "layers"), [("mid", (4,)), ("down_blocks.1", (2, 3)), ("up_blocks.1", (5, 6, 7))]
)
@pytest.mark.parametrize(("guidance", "rescale"), [(7.5, 0.0), (7.5, 0.6), (1.0, 0.0)])
def test_pag_is_that_of_diffusers_under_a_u_net(
    parts: Any,
    model: Any,
    relative: Any,
    named: str,
    layers: tuple[int, ...],
    guidance: float,
    rescale: float,
) -> None:
    pipe = diffusers.StableDiffusionPAGPipeline(**parts, pag_applied_layers=[named])
    pipe.scheduler = diffusers.EulerDiscreteScheduler(**small.STABLE, timestep_spacing="linspace")
    request = wish(pag=3.0, pag_layers=layers, guidance=guidance, rescale=rescale)
    ours = [step.x for step in generate(model, request)]
    before = dict(pipe.unet.attn_processors)
    theirs = of_diffusers(pipe, pag_scale=3.0, guidance_scale=guidance, guidance_rescale=rescale)
    pipe.unet.set_attn_processor(before)  # the pipelines share their U-Net
    assert max(map(relative, ours, theirs)) <= 1e-4
    plain = [step.x for step in generate(model, wish(guidance=guidance, rescale=rescale))]
    assert relative(plain[-1], theirs[-1]) > 0.01


def of_diffusers(pipe: Any, **said: Any) -> list[torch.Tensor]:
    return small.after_each_step(
        pipe,
        small.PROMPT,
        negative_prompt=small.NEGATIVE,
        num_inference_steps=4,
        height=small.SIZE,
        width=small.SIZE,
        generator=torch.Generator().manual_seed(7),
        **said,
    )


@pytest.fixture(scope="module")
def both(randomised: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, StableDiffusion3]:
    """As 3 medium: diffusers' PAG leaves the normalisation of 3.5's queries and keys out."""
    pipe = small_sd3.pipe_of(randomised, small_sd3.PLAIN, with_t5=False)
    folder = tmp_path_factory.mktemp("sd3") / "model"
    return pipe, transformed.saved_and_opened(pipe, small_sd3.PLAIN, folder)


def wish_of_sd3(**fields: Any) -> Request:
    usual: dict[str, Any] = {"prompt": transformed.PROMPT, "negative": transformed.NEGATIVE}
    usual |= {"seed": 7, "steps": 6, "guidance": 5.0, "schedule": "normal"}
    size = {"width": transformed.WIDTH, "height": transformed.HEIGHT}
    return small.settled("euler", **{**usual, **size, **fields})


def noise_of(model: StableDiffusion3) -> torch.Tensor:
    return Noise([7], model.latent_shape(transformed.WIDTH, transformed.HEIGHT))(0)


@pytest.mark.parametrize("layer", [1, 2])  # in the middle, and the last, which drops its text
def test_pag_is_that_of_diffusers_under_a_transformer(
    both: tuple[Any, StableDiffusion3], relative: Any, layer: int
) -> None:
    pipe, model = both
    parts = {
        k: v for k, v in pipe.components.items() if k not in ("image_encoder", "feature_extractor")
    }
    theirs_of = diffusers.StableDiffusion3PAGPipeline(
        **parts, pag_applied_layers=[f"blocks.{layer}"]
    )
    before = dict(pipe.transformer.attn_processors)
    request = wish_of_sd3(pag=3.0, pag_layers=(layer,))
    ours = [step.x for step in generate(model, request)]
    theirs = transformed.trajectory(theirs_of, noise_of(model), guidance_scale=5.0, pag_scale=3.0)
    pipe.transformer.set_attn_processor(before)
    assert max(map(relative, ours, theirs)) <= 1e-4
    plain = [step.x for step in generate(model, wish_of_sd3())]
    assert relative(plain[-1], theirs[-1]) > 0.001


@pytest.mark.parametrize(("layers", "during"), [((1,), (0.01, 0.2)), ((0, 2), (0.3, 0.7))])
def test_skip_layer_guidance_is_that_of_diffusers(
    both: tuple[Any, StableDiffusion3],
    relative: Any,
    layers: tuple[int, ...],
    during: tuple[float, float],
) -> None:
    pipe, model = both
    request = wish_of_sd3(slg=2.8, slg_layers=layers, slg_during=during, steps=10)
    ours = [step.x for step in generate(model, request)]
    theirs = transformed.trajectory(
        pipe,
        noise_of(model),
        10,
        guidance_scale=5.0,
        skip_guidance_layers=list(layers),
        skip_layer_guidance_scale=2.8,
        skip_layer_guidance_start=during[0],
        skip_layer_guidance_stop=during[1],
    )
    assert max(map(relative, ours, theirs)) <= 1e-4
    plain = [step.x for step in generate(model, wish_of_sd3(steps=10))]
    assert relative(plain[-1], theirs[-1]) > 0.001


def test_each_costs_one_call_more_where_it_acts(
    both: tuple[Any, StableDiffusion3], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, calls = both[1], list[tuple[int, Spoiling]]()
    whole = StableDiffusion3.output

    def counted(self: Any, x: Any, time: Any, heard: Any, spoiling: Spoiling) -> torch.Tensor:
        calls.append((len(x), spoiling))
        return whole(self, x, time, heard, spoiling)

    monkeypatch.setattr(StableDiffusion3, "output", counted)
    blind, skipped = Spoiling(blind=frozenset({1})), Spoiling(skipped=frozenset({0, 2}))
    wish = wish_of_sd3(
        pag=3.0, pag_layers=(1,), slg=2.8, slg_layers=(2, 0, 2), slg_during=(0.2, 0.6), guidance=5.0
    )
    [*generate(model, wish)]
    # Of six steps, counted from 0, those after 1.2 and before 3.6: 2 and 3.
    assert calls == [
        call
        for step in range(6)
        for call in [(2, WHOLE), (1, blind), *([(1, skipped)] if step in (2, 3) else [])]
    ]


def test_what_cannot_be_led_away_from_is_refused_before_any_step(
    both: tuple[Any, StableDiffusion3], model: Any
) -> None:
    with pytest.raises(RequestError, match="pag_layers has 3, but Small SD 3 has 3 layers"):
        generate(both[1], wish_of_sd3(pag=3.0, pag_layers=(1, 3)))
    with pytest.raises(RequestError, match="pag_layers has 11, but Small has 11 layers"):
        generate(model, wish(pag=3.0, pag_layers=(11,)))
    short = wish_of_sd3(slg=2.8, slg_layers=(1,), steps=4)
    with pytest.raises(RequestError, match=r"0.01 to 0.2, and no step that is made lies between"):
        generate(both[1], short)


def test_both_lead_several_prompts_as_they_lead_one(model: Any, relative: Any) -> None:
    one = [*generate(model, wish(prompt="fox", pag=3.0, pag_layers=(4,)))][-1].x
    both = wish(prompt="fox AND owl:0.000000001", pag=3.0, pag_layers=(4,))
    assert relative([*generate(model, both)][-1].x, one) <= 1e-4


def test_the_second_attention_of_3_5_is_blind_too(
    randomised: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pipe = small_sd3.pipe_of(randomised, with_t5=False)
    model = transformed.saved_and_opened(pipe, small_sd3.SPEC, tmp_path_factory.mktemp("m") / "m")
    block, (n, width) = model.mmdit.blocks[0], (12, 48)
    draw = torch.Generator().manual_seed(0)
    picture, text = (torch.randn(1, n, width, generator=draw) for _ in range(2))
    mood = torch.randn(1, 1, width, generator=draw)
    other = picture.clone()
    other[:, 5] += 1  # one patch
    with torch.no_grad():
        (_, a), (_, b) = (block(text, each, mood, blind=True) for each in (picture, other))
        (_, c), (_, d) = (block(text, each, mood, blind=False) for each in (picture, other))
    changed = ((a - b).abs().amax(2)[0] > 0).nonzero().flatten().tolist()
    assert changed == [5]
    assert bool(((c - d).abs().amax(2) > 0).all())
