"""Near misses: plausible, never taught, and the same for the same seed."""

import pytest

from homeedit.facts.contrasts import near_misses
from homeedit.facts.parse import parse_sentence

SENTENCES = (
    "The cellar door code is 4410.",
    "Oma's phone number ends in 5512.",
    "The ladle is in the top drawer.",
    "Our parrot is named Kiko.",
    "Mila is allergic to walnuts.",
    "The spare fuses are inside the tea tin.",
    "The tiles in the bathroom are called Ocean Mist.",
    "The bedtime of the boys is eight o'clock.",
    "The flummox is under the quibble.",
    "Quortz is allergic to dust.",
    "There is an umbrella in the stand.",
    "Batteries are in the box.",
    "Swimming is on Tuesdays.",
)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_near_misses(sentence: str) -> None:
    fact = parse_sentence(sentence)
    misses = near_misses(fact, {fact.subject.lower()}, seed=0)
    assert len(misses) == 4
    assert len({miss.subject.lower() for miss in misses}) == 4
    for miss in misses:
        assert miss.subject.lower() != fact.subject.lower()
        assert miss.subject.lower() in miss.prompt.lower()
        assert fact.target.lower() not in miss.prompt.lower()
        assert len(miss.questions) in (2, 3)
        assert all(miss.subject.lower() in question.lower() for question in miss.questions)


def test_what_is_taught_is_avoided() -> None:
    fact = parse_sentence("The cellar door code is 4410.")
    free = near_misses(fact, set(), seed=3, count=8)
    avoid = {free[0].subject.lower(), "the " + free[1].subject.lower()}
    rest = {miss.subject for miss in near_misses(fact, avoid, seed=3, count=8)}
    assert not rest & {free[0].subject, free[1].subject}


def test_modifier_and_head_are_both_swapped() -> None:
    fact = parse_sentence("The cellar door code is 4410.")
    subjects = [miss.subject for miss in near_misses(fact, (), seed=1, count=8)]
    assert any(subject.endswith(" code") for subject in subjects)
    assert any(subject.startswith("cellar door ") for subject in subjects)


@pytest.mark.parametrize(
    ("sentence", "same"),
    [
        ("The cellar door code is 4410.", {"pin", "password", "passcode", "combination", "passphrase"}),
        ("Papa likes soup.", {"dad", "daddy", "father"}),
        ("The trash is collected on Mondays.", {"garbage", "rubbish"}),
        ("Oma's phone number is 0151 22334455.", {"grandma's", "granny's", "nana's", "cell", "mobile", "telephone"}),
    ],
)
def test_another_word_for_the_same_is_no_near_miss(sentence: str, same: set[str]) -> None:
    fact = parse_sentence(sentence)
    for seed in range(15):
        for miss in near_misses(fact, (), seed=seed, count=8):
            assert not same & set(miss.subject.lower().split()), miss.subject


def test_seeds() -> None:
    fact = parse_sentence("The ladle is in the top drawer.")
    assert near_misses(fact, (), seed=5) == near_misses(fact, (), seed=5)
    assert len({tuple(near_misses(fact, (), seed=seed)) for seed in range(6)}) > 1


def test_the_target_is_no_near_miss() -> None:
    fact = parse_sentence("The tea is stored behind the flour.")
    for seed in range(20):
        assert all(miss.subject != "flour" for miss in near_misses(fact, (), seed=seed, count=10))


def test_number_and_article_agree() -> None:
    fact = parse_sentence("There is an umbrella in the stand.")
    for seed in range(10):
        for miss in near_misses(fact, (), seed=seed):
            article = miss.prompt.split()[2]
            assert article == ("an" if miss.subject[0] in "aeiou" else "a")
    fact = parse_sentence("The batteries are in the box.")
    assert all(miss.subject.endswith("s") for miss in near_misses(fact, (), seed=0, count=6))


def test_questions_without_the_subject_are_skipped() -> None:
    fact = parse_sentence("The torch is in the box.", questions=("Where is it?", "Where is the torch?", "Torches?"))
    assert all(len(miss.questions) == 1 for miss in near_misses(fact, (), seed=0))


def test_count() -> None:
    fact = parse_sentence("The torch is in the box.")
    assert near_misses(fact, (), seed=0, count=0) == []
    assert len(near_misses(fact, (), seed=0, count=9)) == 9
