"""How long does a library of many pictures take to search? The server's own code, on a real disk.

The pictures are rows with prompts like people's, their texts cut and indexed as for painted ones;
each has a file of one pixel, so that a start, which looks at all files, is measured as well. Run:

    python benchmarks/library.py [--pictures 10000] [--database URL] [--folder FOLDER]

Prints the median and the 95th percentile of each search, first page and a page from the middle,
and ends in status 1 if a median is beyond 50 ms.
"""

import argparse
import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from sfumato.images import Texts, encode
from sfumato.server.database import Database
from sfumato.server.events import Hub
from sfumato.server.home import Home, new_id, picture_id
from sfumato.server.library import Library, Search
from sfumato.server.library.entry import Place, insert
from sfumato.server.library.reading import look

LIMIT = 0.050  # seconds
ROUNDS = 25
BATCH = 500
START = 1_700_000_000.0
SUBJECTS = "fox,castle,robot,samurai,cat,lighthouse,astronaut,forest,dragon,city,portrait,狐,森の城"
WORDS = (
    "masterpiece,best quality,highly detailed,oil painting,watercolour,cinematic lighting,8k,"
    "volumetric fog,golden hour,in snow,at night,by the sea,sharp focus,35mm photograph,"
    "intricate,concept art,soft light,depth of field,studio lighting,pastel colours,赤い,夜"
)
NEGATIVE = "blurry, lowres, bad anatomy, extra fingers, watermark, jpeg artifacts, worst quality"
SAMPLERS = ("DPM++ 2M", "Euler a", "DPM++ SDE", "UniPC")
MODELS = ("dream-v8", "photon", "mini", "sd_xl_base_1.0")


def parameters(dice: random.Random, number: int) -> str:
    """A text as A1111 writes it; its prompt has 5 to 40 parts."""
    words = WORDS.split(",")
    parts = [dice.choice(SUBJECTS.split(",")), *dice.choices(words, k=dice.randint(4, 39))]
    if number == 5000:
        parts.append("quetzalcoatlus")
    return (
        f"a {', '.join(parts)}\nNegative prompt: {NEGATIVE}\n"
        f"Steps: {dice.randint(10, 60)}, Sampler: {dice.choice(SAMPLERS)}, Schedule type: Karras, "
        f"CFG scale: {dice.choice((5, 7, 7.5))}, Seed: {dice.getrandbits(64)}, Size: 512x768, "
        f"Model hash: 6ce0161689, Model: {dice.choice(MODELS)}, RNG: CPU, Version: sfumato 0.1.0"
    )


def fill(database: Database, home: Home, pictures: int) -> None:
    """Files and rows as `Library` makes them, many rows to a transaction."""
    dice = random.Random(1)
    image = Image.new("RGB", (1, 1))
    for start in range(0, pictures, BATCH):
        with database.write() as connection:
            for number in range(start, min(start + BATCH, pictures)):
                data = encode(image, "PNG", Texts(parameters=parameters(dice, number)))
                created = START + number * 600
                name = picture_id(new_id(created), 0)
                path = home.picture(name, created)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                sha256 = hashlib.sha256(data).hexdigest()
                place = Place(name, home.relative(path), sha256, created)
                tags = (f"set {number % 40}",) if number % 3 == 0 else ()
                insert(connection, place, look(data, pixels=1)[0], tags)
    if not database.sqlite:  # as PostgreSQL does by itself within a minute; plans hang on it
        with database.write() as connection:
            connection.exec_driver_sql("ANALYZE pictures, picture_tags")


def measure(call: Callable[[], object]) -> tuple[float, float]:
    """Median and 95th percentile of the seconds that a call takes, after one to warm up."""
    call()
    seconds: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


def searches(library: Library, pictures: int) -> dict[str, Search]:
    """What people look for, from nothing in particular to what stands in every picture."""
    middle = START + pictures * 300
    seed = library.search(limit=1).entries[0].seed
    return {
        "everything": Search(),
        "a word in one": Search(text="quetzalcoatlus"),
        "a word in many": Search(text="fox"),
        "a word in all": Search(text="blurry"),
        "one letter": Search(text="b"),
        "three words": Search(text="fox snow light"),
        "a phrase": Search(text='"golden hour"'),
        "without a word": Search(text="fox -snow"),
        "only without": Search(text="-fox"),
        "japanese": Search(text="森の"),
        "a whole prompt": Search(text=library.search(limit=1).entries[0].prompt),
        "what is not there": Search(text="xylophone"),
        "a seed": Search(seed=seed),
        "model, sampler": Search(model="photon", sampler="euler_ancestral"),
        "a tag": Search(tag="set 3"),
        "a word, a tag": Search(text="castle", tag="set 3"),
        "before a day": Search(before=middle),
        "a word, a model": Search(text="fox", model="photon"),
        "favourites": Search(favourite=True),
        "the trash": Search(trash=True),
    }


def run(database: Database, home: Home, pictures: int) -> bool:
    """Print a line for each search; whether all are quick enough."""
    library = Library(database, home, Hub(database))
    begun = time.perf_counter()
    fill(database, home, pictures)
    print(f"{pictures:,} pictures made in {time.perf_counter() - begun:.1f} s")
    for entry in library.search(limit=100).entries[::2]:
        library.favourite(entry.id, True)
        library.trash(library.search(limit=1, cursor=None).entries[0].id)
    begun = time.perf_counter()
    report = library.reconcile()
    assert not report.lines(), report
    print(f"start with all in order: {(time.perf_counter() - begun) * 1e3:.0f} ms")
    print(f"{'search':20} {'found':>7} {'first page':>18} {'middle page':>18}   (median, 95 %)")
    quick = True
    for name, search in searches(library, pictures).items():
        page = library.search(search)
        first = measure(lambda search=search: library.search(search))
        line = f"{name:20} {page.total:7} {first[0] * 1e3:7.1f} {first[1] * 1e3:7.1f} ms"
        quick = quick and first[0] <= LIMIT
        if page.cursor is not None:
            cursor = far(library, search, page.total // 2)
            later = measure(lambda s=search, c=cursor: library.search(s, cursor=c))
            line += f" {later[0] * 1e3:7.1f} {later[1] * 1e3:7.1f} ms"
            quick = quick and later[0] <= LIMIT
        print(line)
    name = library.search(limit=1).entries[0].id
    thumb = measure(lambda: library.thumbnail(name))
    print(f"{'a thumbnail':28} {thumb[0] * 1e3:7.1f} {thumb[1] * 1e3:7.1f} ms")
    return quick


def far(library: Library, search: Search, count: int) -> str | None:
    """The cursor behind the first `count` pictures."""
    cursor = None
    while count > 0:
        page = library.search(replace(search), limit=min(count, 500), cursor=cursor)
        count -= len(page.entries)
        cursor = page.cursor
        if cursor is None:
            break
    return cursor


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--pictures", type=int, default=10_000)
    words.add_argument("--database", help="the URL of an empty PostgreSQL; else SQLite")
    words.add_argument("--folder", type=Path, help="a folder to make it in; else a temporary one")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        home = Home(Path(folder))
        database = Database(given.database or home.database_url)
        with home.lock():
            database.migrate()
            quick = run(database, home, given.pictures)
            database.close()
    return 0 if quick else 1


if __name__ == "__main__":
    sys.exit(main())
