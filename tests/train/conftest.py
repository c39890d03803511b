"""Trainings run on one thread: sums are rounded alike only where they are split alike."""

from collections.abc import Iterator

import pytest
import torch

from sfumato.nn.bert import Bert
from sfumato.spec import BertConfig
from sfumato.train import bundled, export
from tests.train import tiny


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published encoder's place is taken by one of a layer."""

    def encoder(text: BertConfig) -> tuple[Bert, list[str]]:
        return tiny.reader().bert, tiny.WORDS

    monkeypatch.setattr(bundled, "encoder", encoder)
    monkeypatch.setattr(export, "encoder", encoder)
