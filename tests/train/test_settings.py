"""A recipe's file changes what it names, and nothing that it does not know gets by."""

from dataclasses import replace
from pathlib import Path

import pytest

from sfumato.errors import RequestError
from sfumato.train.recipe import Recipe
from sfumato.train.settings import read_recipe

ROOT = Path(__file__).parents[2]
KEPT = sorted([*ROOT.glob("docs/model/*.toml"), *ROOT.glob("benchmarks/**/*.toml")])


def read(path: Path, text: str) -> Recipe:
    (path / "recipe.toml").write_text(text, encoding="utf-8")
    return read_recipe(path / "recipe.toml")


def test_an_empty_file_is_the_bundled_model_s_recipe(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Recipe()


def test_what_is_named_is_changed_and_nothing_else(tmp_path: Path) -> None:
    got = read(
        tmp_path,
        """
        compiled = false
        precision = "fp32"
        pictures = 12
        [denoiser]
        batch = 8
        centre = -0.5
        [denoiser_loop]
        steps = 40
        save_seconds = 7
        [denoiser_rates]
        betas = [0.8, 0.9]
        [scenes]
        emphasis = 1
        styles = { "3d" = 1, "line art" = 0.5 }
        """,
    )
    base = Recipe()
    assert got == replace(
        base,
        compiled=False,
        precision="fp32",
        pictures=12,
        denoiser=replace(base.denoiser, batch=8, centre=-0.5),
        denoiser_loop=replace(base.denoiser_loop, steps=40, save_seconds=7.0),
        denoiser_rates=replace(base.denoiser_rates, betas=(0.8, 0.9)),
        scenes=replace(base.scenes, emphasis=1.0, styles=(("3d", 1.0), ("line art", 0.5))),
    )
    assert isinstance(got.scenes.emphasis, float)
    assert isinstance(got.denoiser_loop.save_seconds, float)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stepz = 1", r"no setting 'stepz'"),
        ("[denoiser]\nbach = 1", r"no setting 'denoiser\.bach'\. Did you mean (bank or )?batch"),
        ("[denoisr]\nbatch = 1", r"no setting 'denoisr'\. Did you mean denoiser"),
        ("denoiser = 3", r"denoiser is 3, but must be a table: \[denoiser\]"),
        ("[denoiser]\nbatch = 1.5", r"denoiser\.batch is 1\.5, but must be a whole number"),
        ("[denoiser]\nbatch = true", r"denoiser\.batch is True, but must be a number"),
        ("[denoiser]\nbatch = '8'", r"denoiser\.batch is '8', but must be a whole number"),
        ("[denoiser]\nbatch = 0", r"denoiser\.batch is 0, but must be 1 or more"),
        ("[denoiser]\ndrop = -1", r"denoiser\.drop is -1, but must be 0 or more"),
        ("[denoiser]\ndrop = nan", r"denoiser\.drop is nan"),
        ("[denoiser]\nspread = inf", r"denoiser\.spread is inf"),
        ("compiled = 1", r"compiled is 1, but must be true or false"),
        ("[denoiser_rates]\nbetas = 0.9", r"betas is 0\.9, but must be a list of 2 numbers"),
        ("[denoiser_rates]\nbetas = [1]", r"betas is \[1\], but must be a list of 2"),
        ("[scenes]\nstyles = ['3d']", r"scenes\.styles is \['3d'\], but must be like"),
        ("[scenes]\nstyles = { oil = 1 }", r"scenes\.styles names 'oil'; the styles are: 3d, "),
        ("[scenes]\nstyles = { flat = -1 }", r"scenes\.styles\.flat is -1"),
        ("precision = 'fp8'", r"precision is 'fp8', but must be auto, bf16, fp32"),
        ("precision = 16", r"precision is 16, but must be auto, bf16, fp32"),
        ("[scenes", r"is not TOML"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no recipe to read at .*none\.toml"):
        read_recipe(tmp_path / "none.toml")


def test_a_picture_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(RequestError, match="is not TOML"):
        read_recipe(tmp_path / "a.png")


@pytest.mark.parametrize("path", KEPT, ids=[path.stem for path in KEPT])
def test_every_recipe_that_is_kept_still_reads(path: Path) -> None:
    assert read_recipe(path) != Recipe()
