"""A model judged by looking: the same prompts at the same seeds, on one sheet, weak ones included.

Prompts of the sheet's upper part are worded as people type; those of the lower part name one
subject in each of the four main styles, in the words of the training.
"""

from collections.abc import Callable, Sequence

from PIL import Image

from sfumato.images import Frame, filmstrip

__all__ = ["PROMPTS", "SEEDS", "SUBJECTS", "Paint", "sheet"]

Paint = Callable[[str, int], Image.Image]  # a prompt and a seed to a picture

PROMPTS = (
    "a red apple, 3d",
    "a smiling cat, flat",
    "a rocket, cartoon",
    "a hamburger, line art",
    "a house, flat",
    "a sad face, 3d",
    "a sunflower, sticker",
    "a red car, 3d",
    "a penguin, cartoon",
    "a fox on a teal background",
    "a puppy, 3d",
    "a cactus, pixel art",
    "a ship, blueprint",
    "an octopus, neon",
    "three strawberries",
    "a moon above a mountain",
)
SEEDS = (1, 2)
SUBJECTS = (
    "a dog",
    "an owl",
    "a tree",
    "an apple",
    "a laughing face",
    "a car",
    "a castle",
    "a guitar",
)
STYLES = ("3d", "flat", "cartoon", "line art")
_PAPER = "#f7f5f0"  # of the film strip, on which the pictures lie
_SIDE, _GAP = 127, 2  # so that two pictures and the gap are a film strip's widest frame, 256


def sheet(paint: Paint, caption: Sequence[str] = ()) -> Image.Image:
    """Every prompt at both seeds, then every subject in four styles; the caption stands below."""
    pairs = [
        Frame(prompt, _tiled([paint(prompt, seed) for seed in SEEDS], 2)) for prompt in PROMPTS
    ]
    fours = [
        Frame(
            f"{subject}: {', '.join(STYLES)}",
            _tiled([paint(f"{subject}, {style}", SEEDS[0]) for style in STYLES], 2),
        )
        for subject in SUBJECTS
    ]
    upper, lower = filmstrip(pairs), filmstrip(fours, caption=caption)
    width = max(upper.width, lower.width)
    whole = Image.new("RGB", (width, upper.height + lower.height), _PAPER)
    whole.paste(upper, (0, 0))
    whole.paste(lower, (0, upper.height))
    return whole


def _tiled(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Pictures of a frame side by side, a hair's breadth apart."""
    rows = -(-len(pictures) // columns)
    size = (columns * (_SIDE + _GAP) - _GAP, rows * (_SIDE + _GAP) - _GAP)
    frame = Image.new("RGB", size, _PAPER)
    for i, picture in enumerate(pictures):
        place = (i % columns * (_SIDE + _GAP), i // columns * (_SIDE + _GAP))
        frame.paste(picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), place)
    return frame
