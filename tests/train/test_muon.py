"""Matrices move in all directions alike, everything else as Adam moves it, and a state is whole."""

import pytest
import torch
from torch import nn

from sfumato.train.muon import Muon, MuonConfig, orthogonal


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 48), (48, 16), (24, 96)])
def test_singular_values_come_near_to_one(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonal(draw(3, *shape)))
    assert values.min() > 0.66
    assert values.max() < 1.25


def test_the_directions_of_the_singular_vectors_stay() -> None:
    matrix = draw(1, 12, 40)
    u, _, v = torch.linalg.svd(matrix[0], full_matrices=False)
    inner = u.T @ orthogonal(matrix)[0] @ v.T
    assert (inner - inner.diag().diag()).abs().max() < 1e-4
    assert inner.diag().min() > 0.6


def test_the_scale_of_a_gradient_does_not_matter() -> None:
    matrix = draw(1, 8, 8)
    torch.testing.assert_close(orthogonal(1e-4 * matrix), orthogonal(matrix), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(12, 40), (40, 12), (16, 16)])
def test_the_rounds_are_those_of_newton_and_schulz(shape: tuple[int, int]) -> None:
    want = draw(2, *shape).double()
    want /= want.norm(dim=(-2, -1), keepdim=True)
    for _ in range(5):
        square = want @ want.mT
        want = 3.4445 * want + (-4.7750 * square + 2.0315 * square @ square) @ want
    torch.testing.assert_close(orthogonal(draw(2, *shape)).double(), want, atol=1e-3, rtol=0)


def test_a_direction_that_a_matrix_lacks_is_not_made_up() -> None:
    values = torch.linalg.svdvals(orthogonal(draw(1, 64, 2) @ draw(1, 2, 96, seed=1)))[0]
    assert values[1] > 0.66
    assert values[2] < 1e-2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_matrix_in_half_the_digits_is_measured_in_float32(dtype: torch.dtype) -> None:
    matrix = (100 * draw(1, 64, 96)).to(dtype)  # the sum of its squares is beyond float16
    made = orthogonal(matrix)
    assert made.dtype == dtype
    torch.testing.assert_close(made.float(), orthogonal(matrix.float()), atol=2e-3, rtol=0)


def test_no_gradient_is_no_step_but_decay() -> None:
    p = nn.Parameter(torch.ones(4, 6))
    p.grad = torch.zeros_like(p)
    Muon([("p", p)], MuonConfig(rate=0.1, decay=0.5)).step(1, 0.2)
    torch.testing.assert_close(p.data, torch.full((4, 6), 1 - 0.2 * 0.1 * 0.5))


def test_vectors_and_named_ends_move_as_in_adam() -> None:
    ours = {
        "norm.weight": nn.Parameter(draw(5)),
        "conv_in.weight": nn.Parameter(draw(3, 2, seed=1)),
    }
    theirs = [nn.Parameter(p.detach().clone()) for p in ours.values()]
    config = MuonConfig(adam=0.02, betas=(0.9, 0.98))
    muon = Muon(ours.items(), config, plain=("conv_in",))
    adam = torch.optim.Adam(theirs, lr=0.02, betas=(0.9, 0.98))
    for step in range(1, 6):
        for a, b in zip(ours.values(), theirs, strict=True):
            a.grad = draw(*a.shape, seed=10 + step)
            b.grad = a.grad.clone()
        muon.step(step, 1.0)
        adam.step()
    for a, b in zip(ours.values(), theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_a_convolution_moves_as_the_matrix_that_it_is() -> None:
    flat, square = nn.Parameter(draw(6, 18)), nn.Parameter(draw(6, 18).view(6, 2, 3, 3))
    flat.grad, square.grad = draw(6, 18, seed=2), draw(6, 18, seed=2).view(6, 2, 3, 3)
    Muon([("flat", flat)], MuonConfig()).step(1, 1.0)
    Muon([("square", square)], MuonConfig()).step(1, 1.0)
    assert torch.equal(flat, square.view(6, 18))


def test_a_parameter_without_a_gradient_is_our_mistake() -> None:
    muon = Muon([("lost", nn.Parameter(torch.zeros(2)))], MuonConfig())
    with pytest.raises(AssertionError, match="lost took no part"):
        muon.step(1, 1.0)


def test_a_state_goes_on_where_it_was_stored() -> None:
    def steps(p: nn.Parameter, q: nn.Parameter, muon: Muon, numbers: range) -> None:
        for step in numbers:
            p.grad, q.grad = draw(4, 4, seed=step), draw(3, seed=step)
            muon.step(step, 1.0)

    p, q = nn.Parameter(draw(4, 4)), nn.Parameter(draw(3))
    muon = Muon([("p", p), ("q", q)], MuonConfig())
    steps(p, q, muon, range(1, 4))
    stored = {name: t.clone() for name, t in muon.state().items()}
    assert set(stored) == {"first.p", "first.q", "second.q"}
    again, other = nn.Parameter(p.detach().clone()), nn.Parameter(q.detach().clone())
    new = Muon([("p", again), ("q", other)], MuonConfig())
    for name, tensor in new.state().items():
        tensor.copy_(stored[name])
    steps(p, q, muon, range(4, 7))
    steps(again, other, new, range(4, 7))
    assert torch.equal(p, again)
    assert torch.equal(q, other)
