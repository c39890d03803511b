"""A picture meets a canvas whole and undistorted, and what was painted lies where the mask is."""

import pytest
from PIL import Image, ImageChops, ImageDraw

from sfumato.errors import RequestError
from sfumato.images import Canvas, Masking, lay

BLACK, WHITE = 0, 255


def bars(width: int, height: int) -> Image.Image:
    """Red grows from left to right, green from top to bottom: a colour tells its place."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.new("L", (width, height), 9)))


def patch(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A mask that is white in the box, whose right and lower edge belong to it."""
    mask = Image.new("L", size, BLACK)
    ImageDraw.Draw(mask).rectangle(box, fill=WHITE)
    return mask


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.size == b.size and ImageChops.difference(a, b).getbbox() is None


def kept(canvas: Canvas, painted: Image.Image) -> tuple[int, int, int, int] | None:
    """The box of all pixels in which the finished picture is not the ground."""
    return ImageChops.difference(canvas.back(painted), canvas.ground).getbbox()


def changed(image: Image.Image, x: int, y: int) -> bool:
    return image.getpixel((x, y)) == (0, 0, 255)


BLUE = "#0000ff"


def test_a_picture_of_the_canvas_size_is_taken_to_the_bit():
    image = bars(64, 48)
    for fit in ("crop", "stretch", "pad"):
        canvas = lay(image, (64, 48), fit)
        assert same(canvas.picture, image)
        assert same(canvas.start, image)


def test_crop_keeps_the_shape_and_loses_the_sides():
    picture = lay(bars(200, 100), (50, 50), "crop").picture
    assert picture.size == (50, 50)
    left, right = (picture.getpixel((x, 25))[0] for x in (0, 49))
    assert left == pytest.approx(255 * 0.25, abs=5)
    assert right == pytest.approx(255 * 0.75, abs=5)
    top, bottom = (picture.getpixel((25, y))[1] for y in (0, 49))
    assert (top, bottom) == (pytest.approx(2, abs=4), pytest.approx(253, abs=4))


def test_stretch_keeps_all_of_it():
    picture = lay(bars(200, 100), (50, 50), "stretch").picture
    corners = [picture.getpixel(place)[:2] for place in ((0, 0), (49, 49))]
    assert corners[0] == (pytest.approx(2, abs=4), pytest.approx(2, abs=4))
    assert corners[1] == (pytest.approx(253, abs=4), pytest.approx(253, abs=4))


@pytest.mark.parametrize("size", [(200, 100), (100, 200)])
def test_pad_keeps_the_shape_and_goes_on_with_the_edge(size: tuple[int, int]):
    image = bars(*size)
    picture = lay(image, (200, 200), "pad").picture
    inner = (0, 50, 200, 150) if size[0] == 200 else (50, 0, 150, 200)
    assert same(picture.crop(inner), image)
    left, top, right, bottom = inner
    if top:
        for y in range(top):
            assert same(picture.crop((0, y, 200, y + 1)), picture.crop((0, top, 200, top + 1)))
        for y in range(bottom, 200):
            assert same(picture.crop((0, y, 200, y + 1)), picture.crop((0, 149, 200, 150)))
    else:
        for x in range(left):
            assert same(picture.crop((x, 0, x + 1, 200)), picture.crop((50, 0, 51, 200)))
        for x in range(right, 200):
            assert same(picture.crop((x, 0, x + 1, 200)), picture.crop((149, 0, 150, 200)))


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(64, 64), (72, 40), (8, 256)])
@pytest.mark.parametrize("source", [(1, 1), (3, 500), (500, 3), (65, 63)])
def test_every_fit_gives_the_size_that_was_asked_for(
    fit: str, size: tuple[int, int], source: tuple[int, int]
):
    masking = Masking(Image.new("L", source, WHITE))
    canvas = lay(bars(*source), size, fit, masking)
    assert canvas.mask is not None
    assert canvas.ground.size == canvas.picture.size == canvas.mask.size == size


def test_without_a_mask_the_painted_picture_is_the_finished_one():
    painted = Image.new("RGB", (64, 48), BLUE)
    assert lay(bars(64, 48), (64, 48), "crop").back(painted) is painted


def test_without_blur_exactly_the_mask_is_painted():
    canvas = lay(bars(64, 48), (64, 48), "crop", Masking(patch((64, 48), (10, 20, 29, 39)), 0))
    painted = Image.new("RGB", (64, 48), BLUE)
    assert kept(canvas, painted) == (10, 20, 30, 40)
    finished = canvas.back(painted)
    assert same(finished.crop((10, 20, 30, 40)), painted.crop((10, 20, 30, 40)))


def test_with_blur_the_mask_is_new_entirely_and_around_it_the_new_fades():
    mask = patch((96, 96), (32, 32, 63, 63))
    canvas = lay(Image.new("RGB", (96, 96)), (96, 96), "crop", Masking(mask, 4))
    finished = canvas.back(Image.new("RGB", (96, 96), "white"))
    levels = [finished.getpixel((x, 48))[0] for x in range(96)]
    assert set(levels[32:64]) == {255}
    assert levels[:48] == sorted(levels[:48])
    assert 0 < levels[29] < 255
    assert set(levels[:16]) == set(levels[80:]) == {0}


@pytest.mark.parametrize(
    ("fit", "size", "box"),
    [
        ("crop", (100, 100), (40, 40, 60, 60)),
        ("crop", (50, 50), (20, 20, 30, 30)),
        ("stretch", (100, 100), (45, 40, 55, 60)),
    ],
)
def test_a_mask_is_laid_as_its_picture_is(
    fit: str, size: tuple[int, int], box: tuple[int, int, int, int]
):
    mask = patch((200, 100), (90, 40, 109, 59))
    canvas = lay(bars(200, 100), size, fit, Masking(mask, 0))
    assert canvas.mask is not None
    assert canvas.mask.getbbox() == pytest.approx(box, abs=1)


def test_a_mask_of_another_size_is_laid_on_the_picture():
    mask = patch((32, 24), (8, 8, 15, 15))
    canvas = lay(bars(64, 48), (64, 48), "crop", Masking(mask, 0))
    finished = canvas.back(Image.new("RGB", (64, 48), BLUE))
    assert changed(finished, 24, 24)
    assert not changed(finished, 40, 24)


def test_what_pad_adds_is_painted_too():
    mask = patch((64, 32), (30, 14, 33, 17))
    canvas = lay(bars(64, 32), (64, 64), "pad", Masking(mask, 0))
    finished = canvas.back(Image.new("RGB", (64, 64), BLUE))
    assert changed(finished, 0, 0)
    assert changed(finished, 63, 63)
    assert changed(finished, 31, 31)
    assert not changed(finished, 5, 32)


def test_an_inverted_mask_paints_the_rest():
    mask = patch((64, 48), (10, 20, 29, 39))
    canvas = lay(bars(64, 48), (64, 48), "crop", Masking(mask, 0, invert=True))
    finished = canvas.back(Image.new("RGB", (64, 48), BLUE))
    assert not changed(finished, 15, 30)
    assert changed(finished, 5, 5)


def test_a_mask_without_white_is_refused():
    for level, invert in ((BLACK, False), (WHITE, True)):
        masking = Masking(Image.new("L", (64, 48), level), invert=invert)
        with pytest.raises(RequestError, match="Nothing in the mask is white"):
            lay(bars(64, 48), (64, 48), "crop", masking)


@pytest.mark.parametrize("padding", [None, 8])
def test_a_mask_that_is_grey_at_most_is_refused(padding: int | None):
    masking = Masking(Image.new("L", (64, 48), 100), padding=padding)
    with pytest.raises(RequestError, match="Nothing in the mask is white"):
        lay(bars(64, 48), (64, 48), "crop", masking)


def test_a_mask_whose_white_is_lost_on_the_way_is_refused_and_says_so():
    edge, dot = patch((200, 100), (0, 40, 19, 59)), patch((2000, 1000), (900, 500, 900, 500))
    for mask in (edge, dot):
        with pytest.raises(RequestError, match="cut off, or too small, at 64x64"):
            lay(bars(*mask.size), (64, 64), "crop", Masking(mask, 0))
        around = lay(bars(*mask.size), (64, 64), "crop", Masking(mask, 0, padding=8)).mask
        assert around is not None
        assert around.getbbox() is not None
    margins = lay(bars(64, 32), (64, 64), "pad", Masking(Image.new("L", (64, 32), BLACK), 0)).mask
    assert margins is not None
    assert margins.getpixel((0, 0)) == WHITE


def test_only_the_masks_surroundings_are_painted_and_set_back_into_the_whole():
    image = bars(400, 300)
    mask = patch((400, 300), (200, 100, 239, 119))
    canvas = lay(image, (64, 64), "crop", Masking(mask, 0, padding=10))
    assert canvas.area == (190, 80, 250, 140)  # 60 x 40 with its padding, made square
    assert canvas.picture.size == (64, 64)
    finished = canvas.back(Image.new("RGB", (64, 64), BLUE))
    assert finished.size == (400, 300)
    assert kept(canvas, Image.new("RGB", (64, 64), BLUE)) == (200, 100, 240, 120)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 9, 9), (0, 0, 20, 20)),  # the padding ends at the picture's edge
        ((380, 280, 399, 299), (370, 270, 400, 300)),
        ((200, 100, 209, 199), (145, 90, 265, 210)),  # higher than wide
        ((0, 100, 399, 109), (0, -50, 400, 350)),  # wider than the picture is high
    ],
)
def test_the_area_lies_within_the_picture_as_far_as_it_can(
    box: tuple[int, int, int, int], expected: tuple[int, int, int, int]
):
    mask = patch((400, 300), box)
    canvas = lay(bars(400, 300), (64, 64), "crop", Masking(mask, 0, padding=10))
    assert canvas.area == expected
    assert canvas.back(Image.new("RGB", (64, 64), BLUE)).size == (400, 300)


def test_an_area_painted_as_it_was_leaves_the_picture_to_the_bit():
    mask = patch((400, 300), (0, 100, 399, 109))
    canvas = lay(bars(400, 300), (400, 400), "crop", Masking(mask, 4, padding=10))
    assert same(canvas.back(canvas.picture), bars(400, 300))


def test_blur_fills_the_mask_with_the_colours_around_it():
    image = Image.new("RGB", (64, 64), "red")
    ImageDraw.Draw(image).rectangle((32, 0, 63, 63), fill="lime")
    clean = image.copy()
    mask = patch((64, 64), (20, 20, 43, 43))
    image.paste("blue", (20, 20, 44, 44))
    start = lay(image, (64, 64), "crop", Masking(mask, 4, "blur")).start
    assert max(start.crop((20, 20, 44, 44)).getchannel("B").getextrema()) < 8
    left, right = start.getpixel((21, 32)), start.getpixel((42, 32))
    assert left[0] > 2 * left[1]
    assert right[1] > 2 * right[0]
    outside = Image.composite(clean, start, mask)
    assert same(outside, clean)


def test_blur_over_all_of_a_picture_is_grey():
    canvas = lay(
        bars(40, 24), (40, 24), "crop", Masking(Image.new("L", (40, 24), WHITE), 4, "blur")
    )
    assert canvas.start.getextrema() == ((128, 128),) * 3


@pytest.mark.parametrize("fill", ["original", "noise", "nothing"])
def test_other_fills_leave_the_pixels_as_they_are(fill: str):
    mask = patch((64, 48), (10, 20, 29, 39))
    canvas = lay(bars(64, 48), (64, 48), "crop", Masking(mask, 4, fill))
    assert canvas.start is canvas.picture
