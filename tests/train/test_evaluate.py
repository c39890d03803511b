"""The sheet shows every prompt at both seeds and every subject in four styles, each once."""

from PIL import Image

from sfumato.train.evaluate import PROMPTS, SEEDS, STYLES, SUBJECTS, sheet


def test_every_picture_is_asked_for_once_and_stands_on_the_sheet() -> None:
    asked: list[tuple[str, int]] = []

    def paint(prompt: str, seed: int) -> Image.Image:
        asked.append((prompt, seed))
        return Image.new("RGB", (128, 128), (len(asked), 200 - len(asked), 90))

    made = sheet(paint, ["a model"])
    wanted = [(prompt, seed) for prompt in PROMPTS for seed in SEEDS]
    wanted += [(f"{subject}, {style}", 1) for subject in SUBJECTS for style in STYLES]
    assert asked == wanted
    colours = {colour for _, colour in made.getcolors(2**24) or []}
    assert {(i, 200 - i, 90) for i in range(1, len(wanted) + 1)} <= colours


def test_the_prompts_are_those_that_were_agreed_on() -> None:
    assert len(PROMPTS) == len(set(PROMPTS)) == 16
    assert PROMPTS[0] == "a red apple, 3d"
    assert PROMPTS[-1] == "a moon above a mountain"
    assert SEEDS == (1, 2)
