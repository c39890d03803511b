"""Captions: right grammar, and nothing in them that is not true of the picture."""

import re
from typing import Any

import numpy as np
import pytest

from sfumato.familiar import words_of
from sfumato.text.wordpiece import WordPieceTokenizer
from sfumato.train.bundled import vocabulary
from sfumato.train.captions import (
    BACKDROPS,
    FRAMES,
    ORDERS,
    STYLES,
    Facts,
    Named,
    Subject,
    caption,
    focus_subjects,
    other_subjects,
    plain,
)
from sfumato.train.drawings import held_cells
from sfumato.train.grammar import (
    COLOURS,
    bare,
    has_colour,
    noun_phrase,
    plural,
    takes_adjective,
    with_article,
)

SUBJECTS = {
    code: Subject(code, entry.words, entry.weight, "any", entry.colour, entry.wider, entry.kinds)
    for code, entry in focus_subjects().items()
}
OTHERS = other_subjects()
APPLE, ROSE, GRAPES, MOON, MOUNTAIN = "1f34e", "1f339", "1f347", "1f319", "26f0"


def captions(facts: Facts, many: int = 400, drop: float = 0.0) -> list[str]:
    return [caption(facts, SUBJECTS, np.random.default_rng([1, i]), drop) for i in range(many)]


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("apple", "an apple"),
        ("red apple", "a red apple"),
        ("hourglass", "an hourglass"),
        ("house", "a house"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("ufo", "a ufo"),
        ("suv", "an suv"),
        ("unhappy face", "an unhappy face"),
        ("3d fox", "a 3d fox"),
    ],
)
def test_articles_go_by_sound(phrase: str, said: str) -> None:
    assert with_article(phrase) == said


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("strawberry", "strawberries"),
        ("monkey", "monkeys"),
        ("fox", "foxes"),
        ("cactus", "cacti"),
        ("wolf", "wolves"),
        ("mouse", "mice"),
        ("mouse face", "mouse faces"),
        ("tomato", "tomatoes"),
        ("snowman", "snowmen"),
        ("piece of cake", "pieces of cake"),
        ("face with heart eyes", "faces with heart eyes"),
        ("sun behind a cloud", "suns behind a cloud"),
        ("fish", "fish"),
        ("octopus", "octopuses"),
        ("bus", "buses"),
        ("watch", "watches"),
    ],
)
def test_plurals(one: str, many: str) -> None:
    assert plural(one) == many


def test_no_plural_of_the_focus_list_ends_in_a_doubled_s() -> None:
    for subject in SUBJECTS.values():
        if subject.countable:
            words = noun_phrase(subject.words[0], count=3)
            assert words.startswith("three ")
            assert not words.endswith("sss")
            assert (
                words != f"three {subject.words[0].split(' ', 1)[1]}"
                or "fish" in words
                or (subject.words[0].split()[-1] in {"sheep", "deer", "dice", "shrimp"})
            )


def test_adjectives_stand_between_article_and_noun() -> None:
    assert noun_phrase("an apple", ["red"]) == "a red apple"
    assert noun_phrase("a car", ["orange"]) == "an orange car"
    assert noun_phrase("grapes", ["purple"]) == "purple grapes"
    assert noun_phrase("the sun", ["big"]) == "the big sun"
    assert noun_phrase("a strawberry", ["red"], 3) == "three red strawberries"


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (Facts(APPLE, "3d"), "an apple, 3d"),
        (Facts(APPLE, "3d", colour="blue", recoloured=True), "a blue apple, 3d"),
        (Facts(APPLE, "flat", background="teal"), "an apple, flat on a teal background"),
        (Facts(APPLE, "flat", background="meadow"), "an apple in a meadow, flat"),
        (Facts(APPLE, "3d", background="night", size="big"), "a big apple under a starry sky, 3d"),
        (Facts("1f353", "flat", count=3), "three strawberries, flat"),
        (Facts("1f353", "flat", size="small"), "a small strawberry, flat"),
        (Facts(MOON, "3d", relation=("above", MOUNTAIN)), "a moon above a mountain, 3d"),
        (Facts("1f40b", "neon", background=None), None),
    ],
)
def test_plain_wording(facts: Facts, said: str | None) -> None:
    if said is None:
        with pytest.raises(KeyError):
            plain(facts, SUBJECTS)
    else:
        assert plain(facts, SUBJECTS) == said


def test_only_the_true_colour_and_background_are_named() -> None:
    facts = Facts(APPLE, "flat", background="teal", colour="red")
    for text in captions(facts):
        for name in SUBJECTS[APPLE].wider:  # of which one holds Snow White
            text = text.replace(bare(name), "")
        assert COLOURS.intersection(text.replace(",", "").split()) <= {"red"}
        assert "background" not in text or "teal background" in text
        assert "white" not in text


@pytest.mark.parametrize("name", BACKDROPS)
def test_a_backdrop_is_said_in_each_of_its_wordings_and_never_called_a_background(
    name: str,
) -> None:
    texts = captions(Facts(APPLE, "flat", background=name), 1000)
    assert not any("background" in text for text in texts)
    for words in BACKDROPS[name]:
        assert any(f" {words}" in text for text in texts), words
    said = [any(f" {words}" in text for words in BACKDROPS[name]) for text in texts]
    assert sum(said) == pytest.approx(950, abs=25)
    assert sum(f" {BACKDROPS[name][0]}" in text for text in texts) > 300  # the plainest, mostly


def test_no_wording_stands_for_two_backdrops() -> None:
    words = [each for wordings in BACKDROPS.values() for each in wordings]
    assert len(words) == len(set(words))
    assert all(len(wordings) > 5 for wordings in BACKDROPS.values())


def test_a_recoloured_drawing_always_names_its_colour_and_never_the_old_one() -> None:
    for text in captions(Facts(ROSE, "flat", colour="blue", recoloured=True)):
        assert "blue" in text.split()
        assert "red" not in text.split()


def test_black_lines_are_never_given_a_colour() -> None:
    for text in captions(Facts(ROSE, "line art", background="teal")):
        lines = COLOURS.intersection(re.findall(r"\w+", text))
        assert lines <= {"black", "white"}  # "in high-contrast black on white"


def test_words_without_article_are_never_counted() -> None:
    facts = Facts("1f352", "flat", size="small")  # cherries
    assert {"a small cherries", "a cherries"}.isdisjoint(captions(facts))
    assert not SUBJECTS[GRAPES].countable


def test_counts_are_said_as_words_with_the_plural() -> None:
    for text in captions(Facts("1f353", "cartoon", count=3)):
        assert "three " in text
        assert "berries" in text


def test_both_subjects_of_a_relation_are_named_in_order() -> None:
    for text in captions(Facts(APPLE, "flat", relation=("above", MOUNTAIN))):
        where = next(w for w in (" above ", " over ", " on top of ", " higher than ") if w in text)
        apple, mountain = text.index("apple"), text.index("mountain")
        assert apple < text.index(where) < mountain


@pytest.mark.parametrize("facts", [{"count": 2}, {"size": "big"}, {"relation": ("above", MOON)}])
def test_a_description_stands_alone(facts: dict[str, Any]) -> None:
    elephant = "1f418"
    wide = {bare(name) for name in SUBJECTS[elephant].wider}
    alone = "\n".join(captions(Facts(elephant, "3d"), 4000))
    said = "\n".join(captions(Facts(elephant, "3d", **facts)))
    assert all(name in alone for name in wide)
    assert not any(name in said for name in wide)


def test_every_order_and_sentence_says_the_subject_and_the_look() -> None:
    assert all(f.count("{phrase}") == f.count("{style}") == 1 for f in FRAMES)
    assert sum(weight for _, weight in ORDERS) < 1  # the rest are sentences


def test_every_style_has_wordings_that_name_no_vendor() -> None:
    for words in STYLES.values():
        text = " ".join((*words.after, *words.before, *words.of)).lower()
        for vendor in ("emoji", "google", "microsoft", "twitter", "noto", "fluent", "apple"):
            assert vendor not in text


def test_the_words_are_all_that_are_ever_said() -> None:
    some = [
        Facts(APPLE, "3d", background="light blue", colour="red"),
        Facts("1f353", "flat", count=3, background="navy"),
        Facts(MOON, "neon", background=None, relation=("next to", MOUNTAIN)),
        Facts(GRAPES, "sticker", size="small"),
        Facts(MOUNTAIN, "cartoon", background="sunset"),
    ]
    words = Named(SUBJECTS).words(some)
    said = words_of(text for facts in some for text in captions(facts))
    assert said <= words
    assert "sextant" not in words


def test_no_caption_at_all_in_a_tenth() -> None:
    assert captions(Facts(APPLE, "3d"), many=4000, drop=0.1).count("") == pytest.approx(400, abs=60)


def test_an_unsaid_style_is_mostly_3d() -> None:
    weights = {"3d": 0.15, "flat": 0.15, "cartoon": 0.15, "sticker": 0.15, "line art": 0.10}
    weights |= {"pixel art": 0.10, "blueprint": 0.05, "neon": 0.05, "pencil sketch": 0.05}
    weights |= {"silhouette": 0.05}
    unsaid: dict[str, float] = {}
    for style, weight in weights.items():
        texts = captions(Facts(MOUNTAIN, style), many=2000)
        words = STYLES[style]
        said = (*words.after, *words.before, *words.of)
        silent = [text for text in texts if not any(word in text for word in said)]
        unsaid[style] = weight * len(silent) / len(texts)
    assert sum(weights.values()) == pytest.approx(1)
    assert sum(unsaid.values()) == pytest.approx(0.12, abs=0.02)
    assert unsaid["3d"] / sum(unsaid.values()) == pytest.approx(0.60, abs=0.06)


def test_the_same_random_state_says_the_same() -> None:
    facts = Facts(APPLE, "3d", colour="red")
    assert captions(facts, 20) == captions(facts, 20)


def test_no_adjective_stands_before_a_clause() -> None:
    clauses = {c for c, s in SUBJECTS.items() if any(w.startswith("what ") for w in s.wider)}
    assert len(clauses) > 100
    for code in sorted(clauses)[::5]:
        for style in ("3d", "pixel art"):
            adjectives = {"brown", *(word.split()[-1] for word in STYLES[style].before)}
            for text in captions(Facts(code, style, colour="brown"), 60):
                before = text.partition(" what ")[0].split()
                assert " what " not in text or before[-1] not in adjectives, text


def test_a_colour_is_found_in_any_word() -> None:
    assert has_colour("a red-capped toadstool")
    assert has_colour("the gray one")
    assert has_colour("a Red Delicious apple")
    assert not has_colour("a redhead")


def test_no_wording_stands_for_two_focus_subjects() -> None:
    words = [word for s in SUBJECTS.values() for word in (*s.words, *s.wider, *s.kinds)]
    assert len(words) == len(set(words))


def test_the_other_subjects_are_of_no_other_list_and_rarer() -> None:
    _, held = held_cells()
    assert not OTHERS.keys() & (SUBJECTS.keys() | held)
    assert len(OTHERS) > 1000
    assert all(0 < entry.weight < 1 for entry in OTHERS.values())


def test_every_other_subject_has_a_first_name_of_its_own() -> None:
    first = [entry.words[0] for entry in OTHERS.values()]
    assert len(first) == len(set(first))
    assert not set(first) & {word for subject in SUBJECTS.values() for word in subject.words}
    for entry in OTHERS.values():
        names = (*entry.words, *entry.wider)
        assert len(names) == len(set(names)), names


def test_every_name_and_wording_can_be_read_by_the_bundled_model() -> None:
    tokenizer = WordPieceTokenizer(vocabulary(), 32)
    entries = (*OTHERS.values(), *focus_subjects().values())
    names = {name for e in entries for name in (*e.words, *e.wider, *e.kinds)}
    wordings = {words for some in BACKDROPS.values() for words in some}
    assert [name for name in sorted(names | wordings) if tokenizer.unknown(name)] == []
    assert tokenizer.unknown("a 猫") == ("猫",)


def test_the_prompt_grid_is_in_the_focus_list() -> None:
    labels = {subject.words[0] for subject in SUBJECTS.values()}
    everything = {word for subject in SUBJECTS.values() for word in subject.words}
    asked = "apple,smiling cat,rocket,hamburger,house,sad face,sunflower,car,penguin,fox,cactus"
    asked += ",ship,octopus,strawberry,moon,mountain"
    assert {with_article(word) for word in asked.split(",")} <= labels
    assert "a puppy" in everything


@pytest.mark.parametrize(
    "words",
    ["When it rains", "somebody asleep", "my old chair", "twelve eggs", "no entry", "Dad's chair"],
)
def test_no_adjective_stands_before_what_is_no_plain_noun(words: str) -> None:
    assert not takes_adjective(words)
    assert takes_adjective("an old chair")
