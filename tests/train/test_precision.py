"""A training multiplies in bf16 where there are units for it, else in fp32, or as it is told."""

import pytest
import torch

from sfumato.train.precision import Precision, products

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_what_is_named_is_taken(name: Precision, dtype: torch.dtype, device: torch.device) -> None:
    assert products(name, device) == dtype


@pytest.mark.parametrize(("amx", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_is_asked_for_amx(
    amx: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert products("auto", CPU) == dtype
    assert products("auto", GPU) == torch.bfloat16
