"""The library on both databases: what comes in is found, marked, thrown away, and comes in once."""

import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from sfumato.errors import OutputError, PictureError, RequestError
from sfumato.images import Texts, encode, read_texts
from sfumato.recipe import Picture
from sfumato.request import Request
from sfumato.server.database import Database
from sfumato.server.errors import NoSuchPicture
from sfumato.server.events import Event, Hub, LibraryChanged
from sfumato.server.home import Home
from sfumato.server.library import Entry, Library, Search
from sfumato.server.settings import Limits
from sfumato.server.uploads import TooBig
from tests.server.fake import FakePainter

DAY = 86400.0
START = 1_700_000_000.0
FOREIGN = (
    "{}\nNegative prompt: {}\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, "
    "Seed: {}, Size: 8x8, Model: dream"
)


class Recorder(Hub):
    """A hub that remembers what it was told."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.told: list[Event] = []

    def publish(self, event: Event) -> None:
        self.told.append(event)
        super().publish(event)


def paint(prompt: str = "a red fox", *, seed: int = 7, **wish: object) -> Picture:
    request = replace(Request(prompt=prompt, seed=seed), **wish)  # type: ignore[arg-type]
    return FakePainter().submit(request).result().pictures[0]


def foreign(prompt: str = "a fox", negative: str = "", seed: int = 1) -> bytes:
    text = FOREIGN.format(prompt, negative, seed)
    return encode(Image.new("RGB", (8, 8), (seed % 256, 0, 0)), "PNG", Texts(parameters=text))


@dataclass
class Room:
    """A library with a clock that goes on by one second at each look."""

    home: Home
    database: Database
    now: float = START
    hub: Recorder = field(init=False)
    library: Library = field(init=False)

    def __post_init__(self) -> None:
        self.hub = Recorder(self.database)
        self.library = Library(self.database, self.home, self.hub, clock=self.clock)

    def clock(self) -> float:
        self.now += 1
        return self.now

    def add(self, picture: Picture | None = None, number: int = 0, **more: object) -> Entry:
        """Keep a picture as a worker would, each of a job of its own."""
        job = f"{int(self.now):020x}"
        return self.library.add(
            paint() if picture is None else picture,
            id=f"{job}-{number}",
            job=job,
            number=number,
            **more,  # type: ignore[arg-type]
        )

    def found(self, search: Search | None = None, text: str = "") -> list[str]:
        page = self.library.search(search or Search(text=text), limit=500)
        assert page.total == len(page.entries)
        return [entry.id for entry in page.entries]


@pytest.fixture
def room(tmp_path: Path, database_url: str) -> Iterator[Room]:
    home, database = Home(tmp_path / "home"), Database(database_url)
    with home.lock():
        database.migrate()
        yield Room(home, database)
        database.close()


def test_a_picture_is_kept_with_all_that_made_it(room: Room):
    picture = paint("a red fox\nin snow", seed=2**64 - 1)
    entry = room.add(picture, tags=("b", "a"))
    assert entry == room.library.get(entry.id)
    assert entry.recipe == picture.recipe
    assert entry.seed == 2**64 - 1
    assert (entry.prompt, entry.negative, entry.source) == ("a red fox\nin snow", "", "sfumato")
    assert (entry.model, entry.sampler, entry.schedule) == ("mini", "euler_ancestral", "karras")
    assert (entry.steps, entry.guidance) == (5, 5.0)
    assert (entry.width, entry.height) == picture.image.size
    assert entry.tags == ("a", "b")
    assert (entry.favourite, entry.trashed) == (False, None)
    assert read_texts(entry.file) == picture.recipe.texts()
    with Image.open(entry.file) as image:
        assert image.tobytes() == picture.image.tobytes()
    assert entry.file.stat().st_mtime == pytest.approx(entry.created)


def test_the_same_id_is_kept_once(room: Room):
    first = room.library.add(paint(), id="a" * 20 + "-0", job="a" * 20, number=0)
    again = room.library.add(paint("another"), id="a" * 20 + "-0", job="a" * 20, number=0)
    assert again == first
    assert room.found() == [first.id]
    assert [event.id for event in room.hub.told if isinstance(event, LibraryChanged)] == [first.id]


def test_what_is_not_there_is_refused(room: Room):
    library = room.library
    for id in ("nothing", "", "../../etc/passwd", "a\0b", "狐"):
        for call in (
            lambda id: library.get(id),
            lambda id: library.thumbnail(id),
            lambda id: library.trash(id),
            lambda id: library.restore(id),
            lambda id: library.favourite(id, True),
            lambda id: library.tag(id, ["x"]),
            lambda id: library.image(id),
        ):
            with pytest.raises(NoSuchPicture, match="there is no picture"):
                call(id)


def test_several_are_given_in_the_order_asked_for(room: Room):
    a, b = room.add(), room.add()
    assert room.library.get_many([b.id, "x", a.id, b.id]) == (b, a)
    assert room.library.get_many([]) == ()


WORDS = [
    ("", "cba"),
    ("fox", "ca"),
    ("FO", "ca"),
    ("red fo", "a"),
    ("fox red", "a"),
    ('"red fox"', "a"),
    ('"fox red"', ""),
    ('"red fo"', ""),
    ("-red", "cb"),
    ("fox -red", "c"),
    ('fox -"red fox"', "c"),
    ("blurry", "b"),
    ("café", "b"),
    ("CAFE", "b"),
    ("狐", "c"),
    ("赤い狐", "c"),
    ("赤狐", ""),
    ("の森", "c"),
    ("東京", "c"),
    ("sci-fi", "b"),
    ("karras", "cba"),
    ("sampler", ""),
    ("dwarf", ""),
    ("7007", "c"),
]


def test_words_are_found(room: Room):
    ids = {
        room.add(paint("a red fox, 3d")).id: "a",
        room.add(paint("a small cafe at night, sci-fi", negative="blurry")).id: "b",
        room.add(paint("fox 赤い狐の森 TOKYO東京", seed=7007)).id: "c",
    }
    found = {text: "".join(ids[id] for id in room.found(text=text)) for text, _ in WORDS}
    assert found == dict(WORDS)


HOSTILE = [
    '"',
    "'; DROP TABLE pictures; --",
    "AND OR NOT NEAR(",
    "fox AND",
    "^fox* : {prompt}",
    "a & | ! <-> :*",
    "\\' \\\\ %s %(x)s :wanted :holding ?",
    "\0fox",
    "\ud800",
    "-",
    "(((((",
    "fox" * 10_000,
    "fox " * 10_000,
    "-fox " * 1000,
    '"' * 1001,
    "狐" * 5000,
    "\u202e\u0301\u200d",
]


def test_no_query_is_an_error(room: Room):
    entry = room.add(paint("fox"))
    for text in HOSTILE:
        assert set(room.found(text=text)) <= {entry.id}
    for text in HOSTILE:
        for search in (
            Search(model=text),
            Search(sampler=text),
            Search(source=text),
            Search(tag=text),
        ):
            assert room.found(search) == []


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(text=st.text(max_size=30))
def test_whatever_is_kept_is_found_by_its_own_words(room: Room, text: str):
    room.library.empty_trash()
    data = encode(Image.new("RGB", (8, 8)), "PNG", Texts(FOREIGN.format(text, "", 1)))
    entry = room.library.import_file(data, name="a.png")
    words = [word for word in entry.prompt.split() if any(char.isalnum() for char in word)]
    for word in words:
        assert entry.id in room.found(text=word.replace('"', " ").lstrip("-"))
    room.library.trash(entry.id)


def test_every_field_can_be_asked_for(room: Room):
    a = room.add(paint(seed=2**64 - 1, sampler="dpmpp_2m", model="big.safetensors"))
    room.now += DAY
    b = room.library.import_file(foreign(seed=8), name="b.png")
    library = room.library
    library.favourite(b.id, True)
    library.tag(b.id, ["Winter night"])
    for search, expected in (
        (Search(seed=2**64 - 1), [a]),
        (Search(seed=8), [b]),
        (Search(seed=9), []),
        (Search(model="big.safetensors"), [a]),
        (Search(model="folder/big"), [a]),
        (Search(model="dream"), [b]),
        (Search(sampler="DPM++ 2M"), [b, a]),
        (Search(sampler="euler"), []),
        (Search(source="a1111"), [b]),
        (Search(after=b.created), [b]),
        (Search(before=b.created), [a]),
        (Search(after=a.created, before=a.created), []),
        (Search(favourite=True), [b]),
        (Search(favourite=False), [a]),
        (Search(tag="Winter night"), [b]),
        (Search(tag="Winter"), []),
        (Search(text="winter"), [b]),
        (Search(text="fox", favourite=True, model="dream", sampler="dpmpp_2m"), [b]),
    ):
        assert room.found(search) == [entry.id for entry in expected], search


def test_pages_hold_still_while_pictures_come(room: Room):
    ids = [room.add(number=i % 2).id for i in range(7)][::-1]
    library = room.library
    page = library.search(limit=3)
    assert ([entry.id for entry in page.entries], page.total) == (ids[:3], 7)
    new = room.add().id
    seen = list(page.entries)
    while page.cursor is not None:
        page = library.search(limit=3, cursor=page.cursor)
        seen += page.entries
    assert [entry.id for entry in seen] == ids
    assert page.total == 8
    assert room.found()[0] == new


def test_pictures_of_the_same_moment_are_paged_once_each(room: Room):
    for seed in range(7):
        room.library.import_file(foreign(seed=seed), name="x", created=START - 5)
    seen: list[str] = []
    cursor = None
    while len(seen) < 20:
        page = room.library.search(limit=2, cursor=cursor)
        seen += [entry.id for entry in page.entries]
        cursor = page.cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 7


def test_a_cursor_of_nobody_is_refused(room: Room):
    known = ("", "x", "W10=", "WzFd", "WzEsMl0=", "bnVsbA==", "W05hTiwgImEiXQ==", "狐", "e30=")
    for cursor in (*known, "A" * 9999):
        with pytest.raises(RequestError, match="cursor"):
            room.library.search(cursor=cursor)


def test_a_page_has_a_bound(room: Room):
    for limit in (0, -1, 501, 10**30):
        with pytest.raises(RequestError, match="limit"):
            room.library.search(limit=limit)


def test_tags_are_told_apart_and_kept_once(room: Room):
    entry = room.add()
    tagged = room.library.tag(entry.id, [" oil   paint ", "狐", "oil paint", "Oil paint"])
    assert set(tagged.tags) == {"oil paint", "狐", "Oil paint"}
    assert room.library.tag(entry.id, []).tags == ()
    assert room.found(text="oil") == []


def test_a_tag_that_cannot_be_kept_is_refused(room: Room):
    entry = room.add()
    for tags in ([""], ["a\0"], ["x" * 61], [str(i) for i in range(33)], ["\ud800"]):
        with pytest.raises(RequestError, match="tag"):
            room.library.tag(entry.id, tags)
    assert room.library.get(entry.id).tags == ()


def test_the_trash_gives_back_and_forgets(room: Room):
    library = room.library
    a, b, c = room.add(tags=("x",)), room.add(), room.add()
    trashed = library.trash(a.id)
    library.trash(b.id)
    assert trashed.trashed is not None
    assert library.trash(a.id) == trashed
    assert room.found() == [c.id]
    assert room.found(Search(trash=True)) == [b.id, a.id]
    assert library.restore(a.id) == a
    library.thumbnail(b.id)
    files = [
        b.file,
        room.home.thumb(b.id),
        room.home.trail(b.id),
        room.home.frames(b.id) / "1.webp",
    ]
    for file in files[2:]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    assert all(file.exists() for file in files)
    assert library.empty_trash() == 1
    assert not any(file.exists() for file in (*files, files[3].parent))
    assert room.found() == [c.id, a.id]
    assert library.empty_trash() == 0
    with pytest.raises(NoSuchPicture):
        library.restore(b.id)
    assert a.file.exists()


def test_a_file_that_cannot_be_removed_now_is_removed_at_the_next_start(room: Room):
    entry = room.add()
    room.library.trash(entry.id)
    data = entry.file.read_bytes()
    entry.file.unlink()
    entry.file.mkdir()  # unlink fails, as it does on Windows while somebody reads
    assert room.library.empty_trash() == 0
    with pytest.raises(NoSuchPicture):
        room.library.get(entry.id)
    entry.file.rmdir()
    entry.file.write_bytes(data)
    assert room.library.reconcile().emptied == 1
    assert not entry.file.exists()


def test_a_thumbnail_is_small_and_made_again(room: Room):
    big = paint(width=1024, height=512)
    entry = room.add(big)
    data = room.library.thumbnail(entry.id)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("WEBP", (320, 160))
    assert room.home.thumb(entry.id).read_bytes() == data
    room.home.thumb(entry.id).unlink()
    assert room.library.thumbnail(entry.id) == data
    assert room.home.thumb(entry.id).read_bytes() == data
    room.home.thumb(entry.id).unlink()
    entry.file.unlink()
    with pytest.raises(NoSuchPicture, match="gone"):
        room.library.thumbnail(entry.id)


def test_a_file_is_imported_byte_for_byte_and_once(room: Room):
    data = foreign("a fox", "blurry", 5)
    entry = room.library.import_file(data, name="x.png")
    assert entry.file.read_bytes() == data
    assert (entry.source, entry.seed, entry.job) == ("a1111", 5, None)
    assert room.library.import_file(data, name="y.png") == entry
    assert room.found() == [entry.id]


def test_a_picture_of_the_library_that_comes_in_again_is_the_same(room: Room):
    entry = room.add()
    assert room.library.import_file(entry.file.read_bytes(), name="x.png") == entry


def test_what_comes_in_again_leaves_the_trash_and_heals_a_lost_file(room: Room):
    data = foreign()
    entry = room.library.import_file(data, name="x.png")
    room.library.trash(entry.id)
    entry.file.unlink()
    assert room.library.import_file(data, name="x.png") == entry
    assert entry.file.read_bytes() == data


def test_what_was_removed_for_good_can_come_in_again(room: Room):
    data = foreign()
    entry = room.library.import_file(data, name="x.png")
    room.library.trash(entry.id)
    entry.file.unlink()
    entry.file.mkdir()
    assert room.library.empty_trash() == 0  # it is on its way out, and comes back meanwhile
    with pytest.raises(OutputError, match="being removed"):
        room.library.import_file(data, name="x.png")
    entry.file.rmdir()
    again = room.library.import_file(data, name="x.png")
    assert again.file.read_bytes() == data
    assert room.found() == [entry.id]


def test_the_same_file_from_many_threads_comes_in_once(room: Room):
    data = foreign()
    gate = threading.Barrier(6)

    def take(_: int) -> Entry:
        gate.wait()
        return room.library.import_file(data, name="x.png")

    with ThreadPoolExecutor(6) as pool:
        entries = list(pool.map(take, range(6)))
    assert len(set(entries)) == 1
    assert room.found() == [entries[0].id]


def test_what_is_too_big_or_no_picture_is_refused_by_name(room: Room):
    limits = Limits(upload_bytes=500, upload_pixels=50)
    library = Library(room.database, room.home, room.hub, limits)
    with pytest.raises(TooBig, match=r"big\.png has 501 bytes"):
        library.import_file(bytes(501), name="big.png")
    with pytest.raises(TooBig, match="the picture has 501 bytes"):
        library.import_file(bytes(501), name="")
    with pytest.raises(TooBig, match=r"wide\.png: .* more than 50 pixels"):
        library.import_file(foreign(), name="wide.png")
    with pytest.raises(PictureError, match=r"text\.png: "):
        library.import_file(b"text", name="text.png")
    assert not list(room.home.pictures.rglob("*.*"))


def test_a_date_beyond_all_calendars_is_brought_in(room: Room):
    for seed, created in enumerate((-1e18, 1e18)):
        entry = room.library.import_file(foreign(seed=seed), name="x", created=created)
        assert 0 <= entry.created <= room.now


def test_what_differs_is_told(room: Room):
    a, b = room.add(paint("fox", seed=1)), room.add(paint("dog", seed=1))
    assert room.library.diff(a.id, b.id) == {"prompt": ("fox", "dog")}
    c = room.library.import_file(foreign("dog", "", 1), name="c.png")
    told = room.library.diff(b.id, c.id)
    assert told["steps"] == (5, 20)
    assert told["source"] == ("sfumato", "a1111")
    assert "prompt" not in told
    assert "seed" not in told
    assert room.library.diff(c.id, c.id) == {}


def test_all_who_follow_hear_of_each_change(room: Room):
    entry = room.add()
    library = room.library
    library.favourite(entry.id, True)
    library.tag(entry.id, ["x"])
    library.trash(entry.id)
    library.restore(entry.id)
    library.trash(entry.id)
    library.empty_trash()
    assert room.hub.told == [LibraryChanged(entry.id)] * 7


def shown(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_every_kind_of_picture_has_a_thumbnail_that_looks_like_it(room: Room):
    ramp = Image.linear_gradient("L")
    deep = Image.frombytes(
        "I;16", (256, 1), b"".join((v * 257).to_bytes(2, "little") for v in range(256))
    )
    half = ramp.convert("LA")
    half.putalpha(Image.new("L", (256, 256), 100))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    cases = [
        (shown(ramp), (255, 255, 255)),
        (shown(deep.resize((256, 256)).rotate(-90)), (255, 255, 255)),
        (shown(half), (255, 255, 255, 100)),
        (shown(ramp.convert("P")), (255, 255, 255)),
        (shown(ramp.convert("1")), (255, 255, 255)),
        (shown(ramp.convert("RGB").convert("CMYK"), "JPEG", quality=95), (255, 255, 255)),
        (shown(ramp, "JPEG", exif=exif, quality=95), (0, 0, 0)),
        (shown(ramp.convert("RGB"), "WEBP", icc_profile=profile), (255, 255, 255)),
    ]
    for number, (data, expected) in enumerate(cases):
        entry = room.library.import_file(data, name=str(number))
        with Image.open(io.BytesIO(room.library.thumbnail(entry.id))) as image:
            last = image.getpixel((128, 255))
        assert last == pytest.approx(expected, abs=6), number
