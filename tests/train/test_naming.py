"""The names that a model has: taught from words alone, judged by others, put into its file."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sfumato import catalog
from sfumato.errors import WeightsError
from sfumato.nn.bert import Adapter, TextTower
from sfumato.opening import Asked, find
from sfumato.shelves import Shelves
from sfumato.text.names import names
from sfumato.train import naming, store
from sfumato.train.beginning import parts_of
from sfumato.train.captions import Subject
from sfumato.train.export import export
from sfumato.train.loop import LoopConfig, Stop, TrainingError, never
from sfumato.train.muon import MuonConfig
from sfumato.train.names import NAMING, fits, is_named, train_naming
from sfumato.train.naming import NamingConfig, NamingTask, names_of
from sfumato.train.recipe import Recipe
from sfumato.train.scenes import SceneConfig, Scenes
from sfumato.train.start import start
from sfumato.weights.files import open_weights
from sfumato.weights.named import named
from tests.train import tiny

SCENES = SceneConfig(size=32, seed=2, relations=0.3, counts=0.2)
RECIPE = Recipe(
    naming_scenes=SCENES,
    naming=NamingConfig(captions=40, batch=8, width=4),
    naming_loop=LoopConfig(steps=6, warmup=1, cooldown=2, log_steps=2, validate_steps=3),
    naming_rates=MuonConfig(adam=1e-2),
    compiled=False,
)
# In words that the tests' reader has pieces for.
NAMES = {
    "1f436": ("a dog", "a brown thing", "a small dog"),
    "1f697": ("a car", "a red thing", "a big car"),
    "2b50": ("a star", "a small thing", "a small star"),
    "1f333": ("a tree", "a big thing", "a big tree"),
}


@pytest.fixture
def scenes(tmp_path: Path) -> Scenes:
    """Half of them of one thing."""
    return of(tmp_path, SCENES)


@pytest.fixture
def singles(tmp_path: Path) -> Scenes:
    """All of them of one thing."""
    return of(tmp_path, replace(SCENES, relations=0.0, counts=0.0))


def of(tmp_path: Path, config: SceneConfig) -> Scenes:
    tiny.pack(tmp_path / "emoji.zip")
    made = Scenes(tmp_path / "emoji.zip", config)
    made.subjects = {
        code: Subject(code, (first,), 1.0, "thing", wider=tuple(others))
        for code, (first, *others) in NAMES.items()
    }
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny.parts(tmp_path)
    return tmp_path


def task(scenes: Scenes, config: NamingConfig) -> NamingTask:
    adapter = Adapter(tiny.TEXT)
    start(adapter, 2)
    text = replace(tiny.TEXT, names=names_of(scenes), naming=config.width)
    return NamingTask(config, text, scenes, tiny.reader(), adapter.eval().requires_grad_(False))


def silent(_: dict[str, float]) -> None: ...


def learn(scenes: Scenes, folder: Path, stop: Stop = never, recipe: Recipe = RECIPE) -> None:
    train_naming(recipe, scenes, folder, tiny.CPU, silent, stop=stop, spec=tiny.SPEC)


def test_names_stand_in_the_order_of_the_codes(scenes: Scenes) -> None:
    assert names_of(scenes) == ("a tree", "a dog", "a car", "a star")


def test_a_held_name_is_judged_by_and_never_taught(
    scenes: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes.subjects["2b50"] = Subject("2b50", ("a star", "a white thing"), 1.0, "thing")
    monkeypatch.setattr(naming, "_is_held", lambda name: name.endswith("thing"))
    monkeypatch.setattr(naming, "_JUDGED", 40)
    made = task(scenes, NamingConfig(captions=100, width=4))
    assert len(made.seen.captions) == 100
    for some in (made.seen, made.judged["taught"]):
        assert not any(" thing" in f" {caption}" for caption in some.captions)
    held, none = made.judged["held"], len(made.places)
    assert len(held.captions) == 40
    for caption, wanted in zip(held.captions, held.wanted.tolist(), strict=True):
        assert (" thing" in f" {caption}") == (wanted != none)
    assert not set(made.judged["taught"].captions) >= set(made.seen.captions)


def test_where_nothing_has_a_held_name_nothing_is_said_of_them(
    scenes: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_is_held", lambda name: False)
    made = task(scenes, NamingConfig(captions=20, width=4))
    assert made.validate(made.modules).keys() == {"taught_right"}


def test_it_ends_where_hardly_a_scene_has_a_name_to_judge_by(
    singles: Scenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(naming, "_LOOKED_THROUGH", 1)
    monkeypatch.setattr(naming, "_is_held", lambda name: name == "a small star")
    with pytest.raises(TrainingError, match=r"only .* say what the names are learnt from"):
        task(singles, NamingConfig(captions=20, width=4, bare=0.0))


def test_several_things_or_none_are_called_by_no_name(scenes: Scenes) -> None:
    made = task(scenes, NamingConfig(captions=300, bare=0.4, width=4))
    none = len(made.places)
    named = re.compile(r"\b(dog|car|star|tree|thing)s?\b")
    kinds: set[str] = set()
    for caption, wanted in zip(made.seen.captions, made.seen.wanted.tolist(), strict=True):
        things = len(named.findall(caption))
        counted = any(f"{word} " in caption for word in ("two", "three", "four"))
        kind = "bare" if things == 0 else "several" if things > 1 or counted else "one"
        assert (wanted == none) == (kind != "one"), caption
        kinds.add(kind)
    assert kinds == {"bare", "several", "one"}


def test_it_learns_which_name_is_meant(singles: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "_JUDGED", 100)
    made = task(
        singles, NamingConfig(captions=200, batch=64, width=8, bare=0.0, deaf=0.0, drop=0.0)
    )
    optimiser = torch.optim.Adam(made.naming.parameters(), 3e-2)
    losses: list[float] = []
    for step in range(1, 120):
        loss = made.losses(step)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert made.validate(made.modules)["taught_right"] > 0.6


def test_stopped_and_taken_up_it_ends_as_if_it_had_never_stopped(
    scenes: Scenes,
    folder: Path,
    small_reader: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "adapter.safetensors").write_bytes((folder / "adapter.safetensors").read_bytes())
    learn(scenes, folder)
    asked = iter([False] * 2 + [True])
    with pytest.raises(KeyboardInterrupt):
        learn(scenes, other, stop=lambda: next(asked))
    assert not is_named(RECIPE, scenes, other)
    learn(scenes, other)
    (ended, words), (want, same) = (store.read(place / NAMING) for place in (other, folder))
    assert words == same
    assert ended.keys() == want.keys()
    assert all(torch.equal(tensor, want[name]) for name, tensor in ended.items())
    assert is_named(RECIPE, scenes, other)


def test_behind_another_adapter_it_is_learnt_anew_and_not_exported_before(
    scenes: Scenes, folder: Path, small_reader: None
) -> None:
    learn(scenes, folder)
    before, _ = store.read(folder / NAMING)
    tensors, _ = store.read(folder / "adapter.safetensors")
    store.write({n: 1.1 * t for n, t in tensors.items()}, folder / "adapter.safetensors")
    assert not fits(folder)
    with pytest.raises(WeightsError, match="behind another adapter"):
        export(folder, folder / "model.safetensors", {}, spec=tiny.SPEC)
    learn(scenes, folder)
    after, _ = store.read(folder / NAMING)
    assert any(not torch.equal(after[name], before[name]) for name in after)
    assert fits(folder)


def test_without_an_adapter_it_says_what_comes_first(scenes: Scenes, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="behind a trained adapter"):
        learn(scenes, tmp_path)


def test_the_model_s_file_has_the_names_and_is_opened_with_them(
    scenes: Scenes, folder: Path, small_reader: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn(scenes, folder)
    out = folder / "model.safetensors"
    export(folder, out, {}, spec=tiny.SPEC)
    weights = open_weights(out)
    assert names(weights.metadata) == names_of(scenes)
    text = named(tiny.SPEC, weights).texts[0].config
    assert text == replace(tiny.TEXT, names=names_of(scenes), naming=4)
    monkeypatch.setattr(catalog, "CATALOG", {"tiny": tiny.SPEC})
    assert find(Asked(str(out)), Shelves()).spec.texts[0].config == text
    (tower,) = parts_of(out, tiny.SPEC).texts
    assert isinstance(tower, TextTower)
    assert tower.naming is not None
    made, _ = store.read(folder / NAMING)
    for name, tensor in tower.naming.state_dict().items():
        torch.testing.assert_close(tensor, made[name], atol=2e-2, rtol=2e-2)


def test_names_without_layers_and_layers_without_names_are_refused(
    scenes: Scenes, folder: Path, small_reader: None
) -> None:
    learn(scenes, folder)
    out = folder / "model.safetensors"
    export(folder, out, {}, spec=tiny.SPEC)
    tensors, words = store.read(out)
    store.write(tensors, out, {"model": words["model"]})
    with pytest.raises(WeightsError, match=r"has the layers .* and no names"):
        parts_of(out, tiny.SPEC)
    bare = {name: t for name, t in tensors.items() if "naming" not in name}
    store.write(bare, out, words)
    with pytest.raises(WeightsError, match=r"has the names .* and no layers"):
        parts_of(out, tiny.SPEC)
    store.write(tensors, out, {**words, "names": "a dog\na car"})
    with pytest.raises(WeightsError, match=r"names\.weight"):
        parts_of(out, tiny.SPEC)


def test_spellings_of_one_name_are_taught_or_kept_together() -> None:
    for name in ("ferris wheel", "ice cream", "sea horse", "roller coaster"):
        alike = (name, f"the {name}", f"a {name}", name.replace(" ", "-"), name.title())
        assert len({naming._is_held(each) for each in alike}) == 1, name
    some = [f"a {chr(97 + i % 26)}{chr(97 + i // 26)} thing" for i in range(676)]
    assert 20 < sum(map(naming._is_held, some)) < 70  # one in sixteen
