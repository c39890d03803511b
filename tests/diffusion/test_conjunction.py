"""AND: prompts lead away from one origin, each by its weight; guidance sees one answer."""

from dataclasses import replace

import pytest
import torch

from sfumato.diffusion.conjunction import Conjunction, conjoined
from sfumato.diffusion.guidance import Guidance, Guided, Mimicked, Perturbed, Projected, ZeroStar
from sfumato.diffusion.process import Eps, Flow, V

every = pytest.mark.parametrize("process", [Eps(), V(), Flow()], ids=["eps", "v", "flow"])
SIGMA = 0.7


class Network:
    """A smooth function of everything it gets; remembers the batches it ran."""

    def __init__(self, dtype=torch.float64):
        self.batches: list[int] = []
        self.dtype = dtype

    def __call__(self, x, time, conditioning):
        self.batches.append(len(x))
        return torch.tanh(x * conditioning + time.view(-1, 1, 1, 1) / 1000).to(self.dtype)


def picture(pictures=1):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(pictures, 4, 5, 5, generator=generator, dtype=torch.float64)


FOX, CAT, NOTHING = (torch.tensor(value, dtype=torch.float64) for value in (0.5, 1.7, -0.4))


def several(*parts):
    return Conjunction(NOTHING, (parts,))


def guided(process, heard, guidance, network=None, x=None):
    network = Network() if network is None else network
    origin = Conjunction(NOTHING, ((),))
    made = Guided(conjoined(network), process, heard, origin, Conjunction.join, guidance)
    return made(picture() if x is None else x, SIGMA)


def outputs(process, x):
    seen = process.model_input(x, SIGMA)
    time = torch.full((len(x),), process.time(SIGMA), dtype=torch.float32)
    return [Network()(seen, time, c) for c in (FOX, CAT, NOTHING)]


@every
@pytest.mark.parametrize("pictures", [1, 3])
def test_it_is_the_origin_and_the_weighted_differences_times_the_guidance(process, pictures):
    x = picture(pictures)
    fox, cat, nothing = outputs(process, x)
    expected = nothing + 7.5 * (0.8 * (fox - nothing) - 0.3 * (cat - nothing))
    answer = guided(process, several((FOX, 0.8), (CAT, -0.3)), 7.5, x=x)
    assert torch.allclose(answer, process.x0(expected, x, SIGMA), rtol=1e-12, atol=1e-12)


@every
def test_one_prompt_of_weight_1_is_guided_as_if_alone(process):
    x = picture()
    lone = Guided(Network(), process, FOX.view(1, 1, 1, 1), NOTHING.view(1, 1, 1, 1), stack, 5.0)
    answer = guided(process, several((FOX, 1.0)), 5.0)
    assert torch.allclose(answer, lone(x, SIGMA), rtol=1e-12, atol=1e-12)


def stack(first, second):
    return torch.cat([first, second])


@every
def test_twice_the_weight_is_twice_the_guidance(process):
    twice = guided(process, several((FOX, 2.0)), 3.0)
    assert torch.allclose(twice, guided(process, several((FOX, 1.0)), 6.0), rtol=1e-10)
    assert torch.allclose(twice, guided(process, several((FOX, 1.0), (FOX, 1.0)), 3.0), rtol=1e-10)


@every
def test_the_weights_count_without_guidance_too(process):
    x = picture()
    fox, cat, nothing = outputs(process, x)
    answer = guided(process, several((FOX, 1.0), (CAT, 0.5)), 1.0)
    expected = nothing + (fox - nothing) + 0.5 * (cat - nothing)
    assert torch.allclose(answer, process.x0(expected, x, SIGMA), rtol=1e-12, atol=1e-12)


def test_nothing_that_weighs_leaves_the_origin():
    x = picture()
    expected = Eps().x0(outputs(Eps(), x)[2], x, SIGMA)
    assert torch.equal(guided(Eps(), several(), 7.0), expected)


def test_each_prompt_is_one_call_and_the_origin_one():
    network = Network()
    guided(Eps(), several((FOX, 1.0), (CAT, 0.5)), 7.0, network)
    assert network.batches == [1, 1, 1]


@every
@pytest.mark.parametrize(
    "guidance",
    [
        Guidance(6.0, rescale=0.7),
        Guidance(6.0, rule=ZeroStar()),
        Guidance(6.0, rule=Projected()),
        Guidance(6.0, threshold=Mimicked()),
        Guidance(6.0, interval=(1.0, 2.0)),
    ],
    ids=["rescale", "zero star", "projected", "mimicked", "outside its interval"],
)
def test_every_rule_takes_several_prompts_for_the_one_answer_that_they_give(process, guidance):
    x = picture()
    fox, cat, nothing = outputs(process, x)
    both = nothing + 0.8 * (fox - nothing) + 0.4 * (cat - nothing)

    def alone(x, time, answer):
        return answer

    lone = Guided(alone, process, both, nothing, stack, guidance)(x, SIGMA)
    answer = guided(process, several((FOX, 0.8), (CAT, 0.4)), guidance)
    assert torch.allclose(answer, lone, rtol=1e-10, atol=1e-10)


def test_a_perturbed_network_answers_several_prompts_as_well():
    x, heard = picture(), several((FOX, 0.8), (CAT, 0.4))
    origin = Conjunction(NOTHING, ((),))
    plain = Guided(conjoined(Network()), Eps(), heard, origin, Conjunction.join, 4.0)
    same = plain.away_from(Perturbed(conjoined(Network()), 3.0))
    assert torch.allclose(same(x, SIGMA), plain(x, SIGMA), rtol=1e-12)
    worse = plain.away_from(Perturbed(conjoined(lambda x, time, c: Network()(x, time, c) / 2), 3.0))
    assert not torch.allclose(worse(x, SIGMA), plain(x, SIGMA), rtol=1e-3)


def test_the_sum_is_made_in_the_precision_of_the_sampler():
    x = picture().float()
    network = Network(torch.bfloat16)
    time = torch.zeros(1)
    parts = ((FOX, 0.8), (CAT, 0.4))
    answer = conjoined(network)(x, time, several(*parts))
    fox, cat, nothing = (network(x, time, c).float() for c in (FOX, CAT, NOTHING))
    assert answer.dtype == torch.float32
    assert torch.equal(answer, nothing + 0.8 * (fox - nothing) + 0.4 * (cat - nothing))


def test_two_origins_do_not_go_into_one_batch():
    heard = several((FOX, 1.0))
    with pytest.raises(AssertionError, match="one origin"):
        Conjunction.join(heard, replace(heard, origin=CAT))
