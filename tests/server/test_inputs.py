"""Pictures that clients sent: kept once, given back to the pixel, and never trusted by name."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from sfumato.errors import PictureError
from sfumato.request import Request
from sfumato.server.errors import NoSuchInput
from sfumato.server.home import Home
from sfumato.server.inputs import Inputs
from sfumato.server.references import referred
from sfumato.source import Source
from tests.server.shop import FOX, shop_in


def noisy(mode: str = "RGB", size: tuple[int, int] = (7, 5)) -> Image.Image:
    count = size[0] * size[1] * len(mode)
    return Image.frombytes(mode, size, bytes(i * 37 % 256 for i in range(count)))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(Home(tmp_path))


@pytest.mark.parametrize("source", [Source.picture(noisy()), Source.mask(noisy("L"))])
def test_a_picture_and_a_mask_come_back_to_the_pixel(inputs: Inputs, source: Source) -> None:
    inputs.put(source)
    back = inputs.get(source.sha256)
    assert back == source
    assert back.pixels == source.pixels


def test_a_picture_is_kept_once(inputs: Inputs, tmp_path: Path) -> None:
    source = Source.picture(noisy())
    inputs.put(source)
    (file,) = (tmp_path / "inputs").iterdir()
    before = file.stat().st_ino
    inputs.put(source)
    assert file.stat().st_ino == before
    assert [each.name for each in (tmp_path / "inputs").iterdir()] == [f"{source.sha256}.png"]


@pytest.mark.parametrize("name", ["0" * 64, "../" * 10, "", "x"])
def test_what_was_never_sent_is_not_found(inputs: Inputs, name: str) -> None:
    with pytest.raises(NoSuchInput):
        inputs.get(name)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:40], lambda data: b"", lambda data: data * 0]
)
def test_a_damaged_file_is_not_found_and_is_mended_by_sending_it_again(
    inputs: Inputs, tmp_path: Path, damage: object
) -> None:
    source = Source.picture(noisy())
    inputs.put(source)
    file = tmp_path / "inputs" / f"{source.sha256}.png"
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    with pytest.raises(NoSuchInput, match="send it again"):
        inputs.get(source.sha256)
    inputs.put(source)
    assert inputs.get(source.sha256).pixels == source.pixels


def test_another_picture_under_the_name_is_not_taken_for_it(inputs: Inputs, tmp_path: Path) -> None:
    source = Source.picture(noisy())
    inputs.put(source)
    noisy(size=(5, 7)).save(tmp_path / "inputs" / f"{source.sha256}.png")
    with pytest.raises(NoSuchInput):
        inputs.get(source.sha256)


def test_a_mere_reference_cannot_be_put(inputs: Inputs) -> None:
    with pytest.raises(PictureError):
        inputs.put(Source.picture(noisy()).reference)


def test_a_request_is_filled_with_pixels(inputs: Inputs) -> None:
    image, mask = Source.picture(noisy()), Source.mask(noisy("L"))
    inputs.put(image)
    inputs.put(mask)
    request = Request(prompt="a fox", image=image.reference, mask=mask.reference)
    filled = inputs.fill(request)
    assert filled.image is not None
    assert filled.mask is not None
    assert (filled.image.pixels, filled.mask.pixels) == (image.pixels, mask.pixels)
    assert inputs.fill(replace(request, image=None, mask=None)).image is None


def test_an_input_goes_when_nothing_needs_it_any_more(tmp_path: Path) -> None:
    with shop_in(tmp_path / "home") as shop:
        sources = [Source.picture(Image.new("RGB", (8, 8), (9, 8, red))) for red in range(4)]
        unused, waiting, painted, young = sources
        for source in sources:
            shop.inputs.put(source)
        with shop.working():
            made = shop.ended(shop.submit(replace(FOX, image=painted)).id)
        job = shop.submit(replace(FOX, seed=8, image=waiting))
        for source in (unused, waiting, painted):
            os.utime(shop.home.input(source.sha256), (1.0, 1.0))

        def swept() -> set[str]:
            shop.inputs.sweep(lambda: referred(shop.database))
            return {path.stem for path in shop.home.inputs.iterdir()}

        assert swept() == {each.sha256 for each in (waiting, painted, young)}
        shop.jobs.cancel(job.id)
        assert swept() == {each.sha256 for each in (painted, young)}
        shop.library.trash(made.pictures[0])
        assert painted.sha256 in swept()
        shop.library.empty_trash()
        assert swept() == {young.sha256}


def test_an_input_that_is_asked_for_meanwhile_stays(tmp_path: Path) -> None:
    with shop_in(tmp_path / "home") as shop:
        source = Source.picture(Image.new("RGB", (8, 8)))
        shop.inputs.put(source)
        os.utime(shop.home.input(source.sha256), (1.0, 1.0))

        def nobody() -> set[str]:
            shop.submit(replace(FOX, image=source.reference))  # too late for the list
            return set()

        assert shop.inputs.sweep(nobody) == 0
        assert shop.inputs.get(source.sha256).pixels == source.pixels
