"""The bundled model starts from pictures and paints within masks, as a user has it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageChops, ImageDraw

import sfumato
from sfumato.engine import Engine
from sfumato.errors import PictureError, RequestError
from sfumato.recipe import Recipe, diff
from sfumato.request import Request
from sfumato.source import Source

SIZE = (64, 64)


def photo(width: int, height: int) -> Image.Image:
    """Something with colours, edges and slopes."""
    image = Image.linear_gradient("L").resize((width, height))
    picture = Image.merge("RGB", (image, image.rotate(180), image.point(lambda v: v // 2)))
    ImageDraw.Draw(picture).ellipse((8, 8, width // 2, height // 2), fill="orange")
    return picture


def patch(width: int, height: int, box: tuple[int, int, int, int]) -> Source:
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return Source.mask(mask)


PHOTO = Source.picture(photo(64, 64))
MASK = patch(64, 64, (20, 20, 43, 43))
START = Request("a red fox, 3d", seed=7, steps=4, width=64, height=64, image=PHOTO, strength=0.75)
WITHIN = replace(START, mask=MASK)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Engine("cpu", "fp32")
    torch.set_num_threads(threads)


def picture(engine: Engine, request: Request) -> Image.Image:
    return engine.submit(request).result().pictures[0].image


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def distance(a: Image.Image, b: Image.Image) -> float:
    """The mean difference, in levels of 255."""
    levels = ImageChops.difference(a, b).convert("L").histogram()
    return sum(i * n for i, n in enumerate(levels)) / (a.width * a.height)


def test_the_share_of_the_steps_that_is_made_is_the_strength(engine: Engine) -> None:
    for strength, expected in ((0.25, 1), (0.75, 3), (1.0, 4)):
        steps = list(engine.submit(replace(START, strength=strength)))
        assert [step.index for step in steps] == list(range(1, expected + 1))
        assert {step.total for step in steps} == {expected}
        assert steps[-1].sigma == 0
        assert [step.sigma for step in steps] == sorted((s.sigma for s in steps), reverse=True)


def test_the_weaker_the_nearer_to_the_picture(engine: Engine) -> None:
    wish = replace(START, steps=10)
    made = [picture(engine, replace(wish, strength=s)) for s in (0.1, 0.4, 0.8)]
    off = [distance(image, PHOTO.image()) for image in made]
    assert off == sorted(off)
    assert off[0] < 12 < off[2]


@pytest.mark.parametrize(
    "change",
    [
        {"strength": 0.5},
        {"image": Source.picture(photo(64, 64).rotate(90))},
        {"prompt": "a blue ship, flat"},
        {"seed": 8},
    ],
    ids=["strength", "image", "prompt", "seed"],
)
def test_every_wish_for_a_start_changes_the_picture(
    engine: Engine, change: dict[str, object]
) -> None:
    assert not same(picture(engine, START), picture(engine, replace(START, **change)))  # pyright: ignore


def test_the_fit_changes_a_picture_of_another_shape_only(engine: Engine) -> None:
    wide = replace(START, image=Source.picture(photo(96, 48)))
    made = [picture(engine, replace(wide, fit=fit)) for fit in ("crop", "stretch", "pad")]
    assert len({image.tobytes() for image in made}) == 3
    made = [picture(engine, replace(START, fit=fit)) for fit in ("crop", "stretch", "pad")]
    assert len({image.tobytes() for image in made}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"mask": patch(64, 64, (8, 20, 43, 43))},
        {"mask_blur": 0},
        {"mask_fill": "blur"},
        {"mask_fill": "noise"},
        {"mask_fill": "nothing"},
        {"mask_padding": 4},
        {"mask_invert": True},
    ],
    ids=lambda change: " ".join(f"{k} {v}" for k, v in change.items() if not isinstance(v, Source)),
)
def test_every_wish_for_a_mask_changes_the_picture(
    engine: Engine, change: dict[str, object]
) -> None:
    assert not same(picture(engine, WITHIN), picture(engine, replace(WITHIN, **change)))  # pyright: ignore


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "euler_ancestral"])
@pytest.mark.parametrize("blur", [0, 3])
def test_beyond_the_mask_and_its_blur_the_picture_stays_to_the_bit(
    engine: Engine, sampler: str, blur: int
) -> None:
    made = picture(engine, replace(WITHIN, sampler=sampler, mask_blur=blur, strength=1.0))
    box = ImageChops.difference(made, PHOTO.image()).getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert min(left, top) >= 20 - 3 * blur
    assert max(right, bottom) <= 44 + 3 * blur
    assert distance(made.crop((20, 20, 44, 44)), PHOTO.image().crop((20, 20, 44, 44))) > 10


def test_only_the_surroundings_are_painted_and_the_whole_keeps_its_size(engine: Engine) -> None:
    large = photo(300, 200)
    wish = replace(
        WITHIN,
        image=Source.picture(large),
        mask=patch(300, 200, (200, 100, 219, 119)),
        mask_padding=8,
        mask_blur=2,
    )
    run = engine.submit(wish)
    steps = list(run)
    (made,) = run.result().pictures
    assert made.image.size == steps[0].preview()[0].size == (300, 200)
    assert steps[0].sketch().size == (8, 8)
    box = ImageChops.difference(made.image, large).getbbox()
    assert box is not None
    assert (box[0] >= 192, box[1] >= 92, box[2] <= 228, box[3] <= 128) == (True,) * 4


def test_pictures_of_a_run_start_from_the_same_picture(engine: Engine) -> None:
    result = engine.submit(replace(WITHIN, count=2, seed=7)).result()
    first, second = (made.image for made in result.pictures)
    assert same(first, picture(engine, WITHIN))
    assert same(second, picture(engine, replace(WITHIN, seed=8)))
    assert not same(first, second)


@pytest.mark.parametrize(
    "wish",
    [
        START,
        replace(START, sampler="euler_ancestral"),
        WITHIN,
        replace(WITHIN, sampler="unipc", mask_fill="noise"),
        replace(WITHIN, sampler="euler_ancestral", wander=True, path_seed=3, mask_padding=4),
    ],
    ids=["start", "ancestral start", "mask", "mask with noise", "wandering area"],
)
def test_a_stored_step_goes_on_to_the_same_picture(engine: Engine, wish: Request) -> None:
    run = engine.submit(wish)
    states = [step.state() for step in run]
    (whole,) = run.result().pictures
    assert len(states) == 3
    for done, state in enumerate(states, start=1):
        again = engine.submit(run.request, state=state)
        steps = [step.index for step in again]
        assert steps == (list(range(done + 1, 4)) or [3])
        assert same(again.result().pictures[0].image, whole.image)


def test_a_stored_step_of_another_start_is_refused(engine: Engine) -> None:
    run = engine.submit(WITHIN)
    state = next(iter(run)).state()
    for change in ({"image": Source.picture(photo(65, 65))}, {"mask_blur": 5}, {"strength": 1.0}):
        with pytest.raises(RequestError, match="another request"):
            engine.submit(replace(run.request, **change), state=state)  # pyright: ignore


def test_two_interleaved_starts_equal_two_one_after_the_other(engine: Engine) -> None:
    wishes = (START, replace(WITHIN, seed=3, sampler="euler_ancestral"))
    runs = [engine.submit(wish) for wish in wishes]
    for _ in zip(*runs, strict=True):
        pass
    mixed = [run.result().pictures[0].image for run in runs]
    assert all(same(a, picture(engine, wish)) for a, wish in zip(mixed, wishes, strict=True))


def test_an_estimate_is_laid_back_on_its_picture(engine: Engine) -> None:
    run = engine.submit(replace(WITHIN, mask_padding=4, mask_blur=0))
    step = next(iter(run))
    seen = engine.develop(run.request, step.estimate())
    assert distance(seen, step.preview()[0]) < 1
    outside = ImageChops.difference(seen, PHOTO.image()).getbbox()
    assert outside is not None
    assert min(outside[:2]) >= 20
    assert max(outside[2:]) <= 44
    with pytest.raises(PictureError, match="not at hand"):
        engine.develop(run.request.references, step.estimate())


def test_without_a_size_the_picture_gives_the_shape(engine: Engine) -> None:
    wide = Source.picture(photo(300, 150))
    run = engine.submit(replace(START, width=None, height=None, steps=2, image=wide))
    assert (run.request.width, run.request.height) == (184, 88)  # 128 x 128 pixels, in eights
    assert run.result().pictures[0].image.size == (run.request.width, run.request.height)


def test_the_recipe_holds_references_that_lead_to_the_same_picture(engine: Engine) -> None:
    made = engine.submit(WITHIN).result().pictures[0]
    recipe = Recipe.from_json(made.recipe.to_json())
    assert diff(recipe, made.recipe) == {}
    kept = recipe.request
    assert kept.image is not None
    assert kept.mask is not None
    assert (kept.image.sha256, kept.mask.sha256) == (PHOTO.sha256, MASK.sha256)
    with pytest.raises(PictureError, match=r"64x64, sha256 .* is not at hand"):
        engine.submit(kept)
    assert same(picture(engine, replace(kept, image=PHOTO, mask=MASK)), made.image)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_start_in_lower_precision_gives_nearly_the_same_picture(
    engine: Engine, precision: str
) -> None:
    wish = replace(WITHIN, mask_fill="blur", mask_padding=8)
    assert distance(picture(Engine("cpu", precision), wish), picture(engine, wish)) < 4


def test_a_mask_without_white_is_refused_before_any_step(engine: Engine) -> None:
    with pytest.raises(RequestError, match="Nothing in the mask is white"):
        engine.submit(replace(WITHIN, mask=Source.mask(Image.new("L", SIZE))))


def test_the_package_offers_what_a_start_needs() -> None:
    assert sfumato.Source.picture(photo(64, 64)) == PHOTO
