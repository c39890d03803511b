"""The configuration file names folders of models; what is wrong with it is told in two lines."""

from pathlib import Path

import pytest

from sfumato.cli.configuration import models, shelves
from sfumato.cli.folders import config_file, hub_folder
from sfumato.errors import ConfigError, RequestError
from tests.cli.conftest import Sfumato
from tests.shelves.files import LORA, SD15, VAE, sparse


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("SFUMATO_CONFIG", str(path))
    return path


def names() -> list[str]:
    return [item.name for item in shelves().items()[1:]]


def test_without_a_file_there_are_our_own_folder_and_the_hugging_face_cache() -> None:
    places = models()
    assert places.own is not None
    assert places.own.parts[-2:] == ("sfumato", "models")
    assert places.hub == hub_folder()
    assert {folder.owner for folder in places.folders} == {"sfumato", "Hugging Face"}
    assert places.troubles == ()
    assert names() == []


def test_the_folders_of_other_programs_take_a_line_each(tmp_path: Path, config: Path) -> None:
    sparse(tmp_path / "web/models/Stable-diffusion/fox.safetensors", SD15)
    sparse(tmp_path / "web/models/Lora/line.safetensors", LORA)
    sparse(tmp_path / "nodes/models/vae/soft.safetensors", VAE)
    sparse(tmp_path / "more/owl.safetensors", SD15)
    sparse(tmp_path / "mine/checkpoints/cat.safetensors", SD15)
    config.write_text(
        "[models]\n"
        f'folder = "{tmp_path}/mine"\n'
        'folders = ["more"]\n'  # relative to the file
        f'a1111 = "{tmp_path}/web"\n'
        f'comfyui = ["{tmp_path}/nodes"]\n'
        "huggingface = false\n"
    )
    assert names() == [
        "cat.safetensors",
        "owl.safetensors",
        "fox.safetensors",
        "line.safetensors",
        "soft.safetensors",
    ]
    assert models().hub is None
    assert models().troubles == ()


def test_a_home_may_be_written_as_a_tilde(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config.write_text('models.folder = "~/mine"\nmodels.huggingface = "~/hub"')
    assert (models().own, models().hub) == (tmp_path / "mine", tmp_path / "hub")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[models", "is not TOML"),
        ("\xff", "is not TOML"),
        ("models = 3", "must be a table"),
        ("[model]\nfolder = 'x'", "no setting 'model'"),
        ("[models]\nfoldr = 'x'", "no setting models.'foldr'"),
        ("[models]\nfolder = 3", "models.folder is 3"),
        ("[models]\nfolder = ''", "models.folder is ''"),
        ("[models]\nfolders = ['a', 2]", "models.folders is 2"),
        ('[models]\na1111 = "a\\u0000b"', "models.a1111 is"),
        ("[models]\nhuggingface = true", "models.huggingface is True"),
        ("[models]\nfolder = '~nobody-here/x'", "no such home"),
    ],
)
def test_a_broken_file_is_told_by_every_command_and_crashes_none(
    config: Path, sfumato: Sfumato, text: str, told: str
) -> None:
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        models()
    message = sfumato("models").refused()
    assert told in message
    assert str(config) in message


def test_a_file_that_is_a_folder_is_told(config: Path, sfumato: Sfumato) -> None:
    config.mkdir()
    assert "cannot be read: Is a directory" in sfumato("models").refused()


def test_a_folder_that_is_gone_is_told_and_the_rest_is_listed(
    tmp_path: Path, config: Path, sfumato: Sfumato
) -> None:
    sparse(tmp_path / "here" / "fox.safetensors", SD15)
    (tmp_path / "empty").mkdir()
    config.write_text('[models]\nfolders = ["here", "gone"]\na1111 = "none"\ncomfyui = "empty"')
    answer = sfumato("models")
    assert answer.status == 0
    assert "fox.safetensors" in answer.out
    for words in ("gone is not there", "none, the a1111 folder", "empty, the comfyui folder"):
        assert words in answer.err
    # And where a name is not found, it may be there that it is.
    with pytest.raises(RequestError) as refused:
        shelves().locate("owl")
    assert "none, the a1111 folder" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is not YAML"),
        ("just words", "has no sections"),
        ("a: words", "a is no section"),
        ("a:\n  checkpoints: 3", "checkpoints is 3"),
        ("a:\n  checkpoints: gone", "gone is not there"),
        ("# nothing\n", ""),
        ("a:\n", ""),
        ("!!python/object/apply:os.system ['touch owned']", "is not YAML"),
    ],
)
def test_a_broken_file_of_comfyui_is_told_and_its_folders_are_used(
    tmp_path: Path, config: Path, sfumato: Sfumato, text: str, told: str
) -> None:
    sparse(tmp_path / "nodes/models/checkpoints/fox.safetensors", SD15)
    (tmp_path / "nodes/extra_model_paths.yaml").write_text(text)
    config.write_text('[models]\ncomfyui = "nodes"')
    answer = sfumato("models")
    assert "fox.safetensors" in answer.out
    assert told in answer.err
    assert bool(told) == bool(answer.err)
    assert not (tmp_path / "owned").exists()


def test_where_else_comfyui_looks_is_looked_into_too(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISK", str(tmp_path / "disk"))
    sparse(tmp_path / "disk/one/fox.safetensors", SD15)
    sparse(tmp_path / "disk/two/owl.safetensors", SD15)
    sparse(tmp_path / "nodes/beside/soft.safetensors", VAE)
    (tmp_path / "nodes" / "models").mkdir()
    (tmp_path / "nodes/extra_model_paths.yaml").write_text(
        "a1111:\n  base_path: ${DISK}\n  checkpoints: |\n    one\n    two\n"
        "other:\n  vae: beside\n  custom_nodes: x\n  is_default: true\n"
    )
    config.write_text('[models]\ncomfyui = "nodes"')
    assert sorted(names()) == ["fox.safetensors", "owl.safetensors", "soft.safetensors"]


@pytest.mark.parametrize(
    ("platform", "variable", "usual"),
    [
        ("linux", "XDG_CONFIG_HOME", ".config/sfumato"),
        ("win32", "APPDATA", "AppData/Roaming/sfumato"),
        ("darwin", None, "Library/Application Support/sfumato"),
    ],
)
def test_the_file_lies_where_the_system_wants_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str, variable: str | None, usual: str
) -> None:
    for name in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert config_file() == tmp_path / usual / "config.toml"
    if variable is not None:
        monkeypatch.setenv(variable, "elsewhere")
        assert config_file() == Path("elsewhere/sfumato/config.toml")


def test_the_hugging_face_cache_is_where_that_program_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert hub_folder() == Path("cache/huggingface/hub")
    monkeypatch.setenv("HF_HOME", "home")
    assert hub_folder() == Path("home/hub")
    monkeypatch.setenv("HF_HUB_CACHE", "there")
    assert hub_folder() == Path("there")
