"""Recipes are compared at equal time: a slower one gets fewer steps, and each ends its schedule."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.nn.bert import Bert
from sfumato.nn.vae import Vae
from sfumato.spec import BertConfig
from sfumato.train import bundled
from sfumato.train.adapter import AdapterConfig
from sfumato.train.compare import Compared, compare, in_time, table
from sfumato.train.denoiser import DenoiserConfig
from sfumato.train.loop import LoopConfig
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import SceneConfig
from sfumato.train.start import start
from tests.train import tiny

LOOP = LoopConfig(steps=500, warmup=100, cooldown=1)
RECIPE = Recipe(
    scenes=SceneConfig(size=32, relations=0.3),
    adapter=AdapterConfig(pairs=2, others=2, ordered=1, plainly=1, free=2),
    adapter_loop=LoopConfig(steps=3),
    denoiser=DenoiserConfig(batch=2, bank=12),
    denoiser_loop=LOOP,
    compiled=False,
)


def test_a_schedule_ends_in_time_with_its_warm_up_and_its_cooling() -> None:
    made = in_time(LOOP, 60.0, 0.5)
    assert (made.steps, made.warmup, made.cooldown) == (120, 12, 42)
    assert made.factor(made.steps) < 0.03 < made.factor(60) == 1
    assert in_time(LOOP, 60.0, 1.0).steps == 60


def test_each_recipe_is_given_the_same_time_and_told_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoder(text: BertConfig) -> tuple[Bert, list[str]]:
        return tiny.reader().bert, tiny.WORDS

    monkeypatch.setattr(bundled, "encoder", encoder)
    tiny.pack(tmp_path / "emoji.zip")
    vae = Vae(tiny.VAE).eval().requires_grad_(False)
    start(vae, 1)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 0.5
        return now

    twice = replace(RECIPE, denoiser=replace(RECIPE.denoiser, batch=4))
    taught = replace(RECIPE, denoiser=replace(RECIPE.denoiser, places=0.5))
    made = compare(
        {"usual": RECIPE, "twice": twice, "taught": taught},
        tmp_path / "emoji.zip",
        vae,
        tmp_path,
        tiny.CPU,
        4.0,
        lambda line: None,
        spec=tiny.SPEC,
        clock=clock,
    )
    assert [(row.name, row.steps, row.samples) for row in made] == [
        ("usual", 8, 16),
        ("twice", 8, 32),
        ("taught", 8, 16),  # its adapter's training alone is not counted
    ]
    lines = (tmp_path / "usual" / "denoiser" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["factor"] < 1  # the schedule came to its end


def test_the_best_on_what_was_held_out_stands_first() -> None:
    rows = [Compared("a", 1, 2, 3, 0.1, 0.5), Compared("b", 1, 2, 3, 0.2, 0.4)]
    first, second = table(rows).splitlines()[2:]
    assert first == "| b | 1 | 2 | 3 | 0.2000 | 0.4000 |"
    assert second.startswith("| a |")
