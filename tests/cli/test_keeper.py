"""`sfumato models`: listed, looked into, taken in, fetched, removed; and found again by sha256."""

import json
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from sfumato.cli import complete
from sfumato.cli.configuration import models, shelves
from sfumato.cli.folders import hub_folder
from sfumato.recipe import read
from tests.cli.conftest import Sfumato
from tests.cli.fake import FakeEngine
from tests.shelves.files import EMBEDDING, SD3, SD15, T5, VAE, of, sparse
from tests.shelves.hub_server import Hub, serving


def own() -> Path:
    place = models().own
    assert place is not None
    return place


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


# ---- list and inspect -----------------------------------------------------------------------


def test_the_list_tells_name_kind_size_and_place(sfumato: Sfumato, tmp_path: Path):
    sparse(own() / "checkpoints" / "fox.safetensors", SD15)
    sparse(own() / "vae" / "soft.safetensors", VAE)
    head, *rows = sfumato("models").out.splitlines()
    assert head.split() == ["name", "what", "it", "is", "size", "stored", "where"]
    assert [row.split()[0] for row in rows] == ["mini", "fox.safetensors", "soft.safetensors"]
    assert "Stable Diffusion 1.x" in rows[1]
    assert "float16" in rows[1]
    assert rows[1].endswith(str(own() / "checkpoints"))
    (only,) = sfumato("models", "--only", "vae").out.splitlines()[1:]
    assert only.startswith("soft.safetensors")
    assert "must be one of model, " in sfumato("models", "--only", "vea").refused()


def test_a_role_of_which_there_is_nothing_is_told(sfumato: Sfumato):
    answer = sfumato("models", "--only", "vae")
    assert (answer.status, answer.out) == (0, "")
    assert "there is no vae here" in answer.err


def test_the_list_for_programs_holds_all_of_it(sfumato: Sfumato):
    fox = sparse(own() / "checkpoints" / "fox.safetensors", SD15)
    mini, found = json.loads(sfumato("models", "--json").out)
    assert mini["owner"] == "bundled"
    assert found == {
        "name": "fox.safetensors",
        "role": "model",
        "kind": "Stable Diffusion 1.x",
        "opens_as": "sd15",
        "family": "sd",
        "precision": "float16",
        "bytes": fox.stat().st_size,
        "owner": "sfumato",
        "path": str(fox),
        "sha256": None,
        "trouble": None,
    }


def test_control_characters_in_a_name_do_not_reach_the_terminal(sfumato: Sfumato):
    sparse(own() / "checkpoints" / "a\x1b[2Jb.safetensors", SD15)
    assert "\x1b" not in sfumato("models").out


def test_inspect_takes_a_name_and_reads_the_whole_file_only_when_told(sfumato: Sfumato):
    fox = sparse(own() / "checkpoints" / "fox.safetensors", SD15)
    sparse(own() / "embeddings" / "sad.safetensors", EMBEDDING)
    assert "not read yet" in sfumato("models", "inspect", "fox").out
    told = json.loads(sfumato("models", "inspect", "fox", "--json", "--sha256").out)
    assert (told["sha256"], told["opens_as"], told["role"]) == (of(fox), "sd15", "model")
    assert told["evidence"]
    assert of(fox) in sfumato("models", "inspect", "fox").out  # and it is remembered
    assert "textual inversion" in sfumato("models", "inspect", "sad").out
    mini = sfumato("models", "inspect", "mini").out
    assert "mini" in mini
    assert "others it was never shown" in mini
    assert "fox" in mini
    assert "There is no model or part of one 'owl'" in sfumato("models", "inspect", "owl").refused()


def test_inspect_says_without_which_reader_of_prompts_a_model_paints(sfumato: Sfumato):
    folder = own() / "checkpoints"
    sparse(folder / "bare.safetensors", SD3)
    sparse(folder / "whole.safetensors", {**SD3, **T5})
    assert "T5 (text encoder 3), and hears less" in sfumato("models", "inspect", "bare").out
    assert "hears less" not in sfumato("models", "inspect", "whole").out
    for name, absent in (("bare", ["T5 (text encoder 3)"]), ("whole", []), ("mini", [])):
        assert json.loads(sfumato("models", "inspect", name, "--json").out)["absent"] == absent


# ---- add and remove -------------------------------------------------------------------------


def test_a_model_is_added_used_by_its_name_and_removed(
    sfumato: Sfumato, tmp_path: Path, engine: FakeEngine
):
    source = sparse(tmp_path / "fox.safetensors", SD15)
    answer = sfumato("models", "add", "fox.safetensors")
    assert 'fox.safetensors: Stable Diffusion 1.x; paint with it: --model "fox' in answer.out
    assert files(own()) == ["fox.safetensors"]
    assert "was there already" in sfumato("models", "add", "fox.safetensors").out
    source.unlink()
    assert sfumato("models", "remove", "fox", "--yes").out == "fox.safetensors is removed\n"
    assert files(own()) == []


def test_what_is_removed_is_asked_for_first(
    sfumato: Sfumato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fox = sparse(own() / "checkpoints" / "fox.safetensors", SD15)
    monkeypatch.setattr("typer.confirm", _answering(False))
    assert sfumato("models", "remove", "fox").status == 130
    assert fox.exists()
    monkeypatch.setattr("typer.confirm", _answering(True))
    assert sfumato("models", "remove", "fox").status == 0
    assert not fox.exists()


def _answering(answer: bool) -> Any:
    def confirm(text: str, *, abort: bool, err: bool) -> None:
        import typer

        assert "fox.safetensors" in text
        if not answer:
            raise typer.Abort

    return confirm


def test_nothing_is_removed_by_half_a_name_and_never_the_bundled_one(sfumato: Sfumato):
    sparse(own() / "checkpoints" / "fox-v2.safetensors", SD15)
    assert "Did you mean fox-v2" in sfumato("models", "remove", "fox", "--yes").refused()
    assert "cannot be removed" in sfumato("models", "remove", "mini", "--yes").refused()
    assert "no model" in sfumato("models", "remove", "../../x", "--yes").refused()
    assert files(own()) == ["fox-v2.safetensors"]


def test_the_folders_of_others_are_left_alone_unless_told(
    sfumato: Sfumato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "c.toml").write_text('[models]\na1111 = "web"\nfolders = ["mine"]')
    monkeypatch.setenv("SFUMATO_CONFIG", str(tmp_path / "c.toml"))
    web = sparse(tmp_path / "web/models/Stable-diffusion/fox.safetensors", SD15)
    mine = sparse(tmp_path / "mine/owl.safetensors", SD15)
    message = sfumato("models", "remove", "fox", "--yes").refused()
    assert "in a folder of A1111, which sfumato leaves alone" in message
    assert "in a folder of yours" in sfumato("models", "remove", "owl", "--yes").refused()
    assert web.exists()
    assert mine.exists()
    assert sfumato("models", "remove", "fox", "--yes", "--anywhere").status == 0
    assert not web.exists()


# ---- get ------------------------------------------------------------------------------------


@pytest.fixture
def hub(loopback: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Hub]:
    data = sparse(tmp_path / "source" / "fox.safetensors", SD15).read_bytes()
    with serving(Hub({"fox/art": {"fox.safetensors": data}})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def test_a_model_is_fetched_from_the_hub_that_hf_endpoint_names(sfumato: Sfumato, hub: Hub):
    answer = sfumato("models", "get", "fox/art")
    assert answer.status == 0, answer.err
    assert answer.out == (
        "fox/art/fox.safetensors: Stable Diffusion 1.x; "
        'paint with it: --model "fox/art/fox.safetensors"\n'
    )
    assert "1 file" in answer.err
    (item,) = shelves().items()[1:]
    assert item.sha256 == of(item.path)
    message = sfumato("models", "remove", "fox/art/fox", "--yes").refused()
    assert "in the Hugging Face cache, which sfumato leaves alone" in message


def test_offline_forbids_even_get_and_nothing_is_asked(
    sfumato: Sfumato, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SFUMATO_OFFLINE", "1")
    assert "SFUMATO_OFFLINE is set" in sfumato("models", "get", "fox/art").refused()
    assert hub.asked == []
    assert hub_folder() is not None
    assert not Path(str(hub_folder())).exists()


def test_what_the_hub_does_not_have_is_told(sfumato: Sfumato, hub: Hub):
    assert "no repository fox/none" in sfumato("models", "get", "fox/none").refused()
    assert "no file 'x'" in sfumato("models", "get", "fox/art", "--file", "x").refused()


def test_without_the_package_get_says_what_to_install(
    sfumato: Sfumato, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'sfumato[hub]'" in sfumato("models", "get", "fox/art").refused()


def test_a_fetch_that_is_killed_goes_on_at_the_next(sfumato: Sfumato, hub: Hub, tmp_path: Path):
    victim = (
        "import os, signal, sys\n"
        "import huggingface_hub.constants as c\n"
        "c.DOWNLOAD_CHUNK_SIZE = 50_000\n"
        "from sfumato.cli import screen, main\n"
        "def call(self, done, total):\n"
        "    if done > total // 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "screen.Transfer.__call__ = call\n"
        "main(['models', 'get', 'fox/art'])\n"
    )
    assert subprocess.run((sys.executable, "-c", victim), check=False).returncode == -9
    assert [item.name for item in shelves().items()] == ["mini"]
    assert sfumato("models", "get", "fox/art").status == 0
    first, second = hub.fetched("fox.safetensors")
    assert first == 0
    assert second > 0
    (item,) = shelves().items()[1:]
    assert of(item.path) == of(tmp_path / "source" / "fox.safetensors")


# ---- by sha256 ------------------------------------------------------------------------------


def painted(sfumato: Sfumato, engine: FakeEngine, file: Path) -> None:
    """a.png, made with the model in `file`."""
    engine.sha256 = of(file)
    assert sfumato("generate", "x", "--model", str(file), "--out", "a.png").status == 0


def test_a_picture_finds_its_model_again_under_any_name(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path
):
    fox = sparse(tmp_path / "fox.safetensors", SD15)
    painted(sfumato, engine, fox)
    moved = own() / "checkpoints" / "other name.safetensors"
    moved.parent.mkdir(parents=True)
    fox.rename(moved)
    sparse(own() / "checkpoints" / "fox.safetensors", SD15, mark="not the same")
    answer = sfumato("generate", "--from", "a.png", "--out", "b.png")
    assert answer.status == 0, answer.err
    assert engine.submitted[-1].model == str(moved)
    assert "by its sha256: reading other name.safetensors" in answer.err
    assert "the picture's model, fox.safetensors, is here as other name.safetensors" in answer.err
    assert "the same as a.png, to the bit" in answer.out
    again = sfumato("generate", "--from", "a.png", "--out", "b.png")
    assert "reading" not in again.err  # what was read once is known


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "old.png"],
        ["sheet", "--from", "old.png", "--x", "guidance=1,2"],
        ["steps", "--from", "old.png", "--ladder", "2,3,4"],
    ],
)
def test_every_command_finds_a_renamed_model_by_its_sha256(
    sfumato: Sfumato, engine: FakeEngine, words: list[str]
):
    file = sparse(own() / "checkpoints" / "was.safetensors", SD15)
    engine.sha256 = of(file)
    made = ["fox", "--seed", "8", "--steps", "2", "--model", "was.safetensors"]
    assert sfumato("generate", *made, "--out", "old.png").status == 0
    file.rename(file.with_name("renamed.safetensors"))
    answer = sfumato(*words)
    assert answer.status == 0, answer.err
    assert "the picture's model, was.safetensors, is here as renamed.safetensors" in answer.err
    assert engine.submitted[-1].model == str(file.with_name("renamed.safetensors"))


def test_a_file_of_the_name_with_another_hash_is_told_and_not_taken(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path
):
    fox = sparse(tmp_path / "fox.safetensors", SD15)
    painted(sfumato, engine, fox)
    before = of(fox)
    sparse(fox, SD15, mark="another")
    message = sfumato("generate", "--from", "a.png", "--out", "b.png").refused()
    assert f"made with fox.safetensors (sha256 {before[:10]}…), and fox.safetensors" in message
    assert f"here has {of(fox)[:10]}" in message
    count = len(engine.submitted)
    assert sfumato("generate", "--from", "a.png", "--out", "b.png", "--anyway").status == 0
    assert engine.submitted[count].model == "fox.safetensors"


def test_a_model_that_is_nowhere_is_told_before_an_engine_is_made(
    sfumato: Sfumato, engine: FakeEngine, tmp_path: Path
):
    fox = sparse(tmp_path / "fox.safetensors", SD15)
    painted(sfumato, engine, fox)
    fox.unlink()
    engine.made.clear()
    message = sfumato("generate", "--from", "a.png", "--out", "b.png").refused()
    assert "no model here is that one" in message
    assert engine.made == []


def test_a_picture_of_the_bundled_model_looks_into_no_folder(
    sfumato: Sfumato, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sfumato("generate", "x", "--out", "a.png")
    recipe = read("a.png").recipe
    assert recipe is not None
    assert recipe.request.model == "mini"
    monkeypatch.setattr("sfumato.shelves.shelves.look", None)
    assert sfumato("generate", "--from", "a.png", "--out", "b.png").status == 0


# ---- the Tab key ----------------------------------------------------------------------------


def test_names_are_completed_by_their_beginning(tmp_path: Path):
    sparse(own() / "checkpoints" / "sub" / "Fox.safetensors", SD15)
    sparse(own() / "vae" / "fog.safetensors", VAE)
    assert complete.models("fo") == [("sub/Fox.safetensors", "Stable Diffusion 1.x")]
    assert complete.models("SUB/")[0][0] == "sub/Fox.safetensors"
    assert [name for name, _ in complete.vaes("")] == ["fog.safetensors"]
    assert [name for name, _ in complete.everything("")] == [
        "mini",
        "sub/Fox.safetensors",
        "fog.safetensors",
    ]


def test_completion_is_quiet_about_a_broken_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "c.toml").write_text("[")
    monkeypatch.setenv("SFUMATO_CONFIG", str(tmp_path / "c.toml"))
    assert [name for name, _ in complete.models("")] == ["mini"]


def test_lists_and_completion_load_no_torch(tmp_path: Path):
    sparse(own() / "checkpoints" / "fox.safetensors", SD15)
    code = (
        "import sys\nfrom sfumato.cli import main\nfrom sfumato.cli.complete import models\n"
        "models('f')\nmain(['models'])\nmain(['models', 'inspect', 'fox', '--sha256'])\n"
        "assert not {'torch', 'huggingface_hub'} & set(sys.modules), 'loaded'\n"
    )
    subprocess.run((sys.executable, "-c", code), check=True, capture_output=True)
