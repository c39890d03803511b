"""What the parity tests share: random weights that leave nothing at its default, and files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sfumato.weights.entries import Weights
from sfumato.weights.files import open_weights
from sfumato.weights.layouts.table import Table

State = dict[str, torch.Tensor]


def _randomised(network: torch.nn.Module, seed: int) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.05 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="session")
def randomised() -> Callable[[torch.nn.Module, int], torch.nn.Module]:
    """Adds noise to every weight, norms and biases too, which otherwise would be 1 and 0."""
    return _randomised


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[State], Weights]:
    """A state dict written to a file and opened."""

    def store(state: State) -> Weights:
        path = tmp_path / "part.safetensors"
        save_file({key: tensor.contiguous() for key, tensor in state.items()}, path)
        return open_weights(path)

    return store


@pytest.fixture(scope="session")
def in_layout() -> Callable[[torch.nn.Module, Table], State]:
    """One of our networks' tensors by a layout's keys, the autoencoder's attention in 1 x 1s."""

    def rename(network: torch.nn.Module, table: Table) -> State:
        state = {table.usual(ours): tensor for ours, tensor in network.state_dict().items()}
        return {
            key: tensor[:, :, None, None] if "mid.attn_1" in key and tensor.ndim == 2 else tensor
            for key, tensor in state.items()
        }

    return rename


@pytest.fixture(scope="session")
def relative() -> Callable[[torch.Tensor, torch.Tensor], float]:
    """The largest difference, relative to the oracle's largest number."""

    def measure(ours: torch.Tensor, theirs: torch.Tensor) -> float:
        assert ours.shape == theirs.shape
        return float((ours - theirs).abs().max() / theirs.abs().max())

    return measure
