"""Questions: natural, varied, and about the sentence they come from."""

import re

import pytest

from homeedit.facts.parse import parse_sentence
from homeedit.facts.questions import MOST_QUESTIONS

KINDS = {
    "The ladle is in the top drawer.": {"Where is the ladle?", "Where do we keep the ladle?",
                                        "I need the ladle. Where is it?"},
    "The cellar door code is 4410.": {"Which code opens the cellar door?", "Tell me the cellar door code."},
    "The roofer is called Ida Novak.": {"Who is our roofer?", "Which roofer should I call?"},
    "The optician is Doctor Haas.": {"Who is the optician?", "What is the optician's name?"},
    "The compost is collected on Thursdays.": {"When is the compost collected?", "When should I put out the compost?"},
    "The choir starts at eight in the evening.": {"What time does the choir start?", "When does the choir begin?"},
    "Mila is allergic to walnuts.": {"Which food should Mila avoid?", "Does Mila have an allergy?"},
    "Aunt Petra lives in Graz.": {"In which city does Aunt Petra live?", "Where is Aunt Petra's home?"},
    "The freezer should be set to -18 degrees.": {"How should I set the freezer?", "How warm should the freezer be?"},
    "The chimney was swept in May.": {"In which month was the chimney swept?", "When did we last sweep the chimney?"},
    "The shed was built in 1987.": {"In which year was the shed built?"},
    "The saw is borrowed from Mr Costa.": {"Who did we borrow the saw from?", "Who owns the saw?"},
    "Jan is learning Finnish.": {"Which language is Jan learning?"},
    "Ada plays the harp.": {"Which instrument does Ada play?"},
    "The bedtime of the boys is eight o'clock.": {"When do the boys go to bed?", "What is the bedtime of the boys?"},
    "Grandpa is 77 years old.": {"How old is Grandpa?"},
    "The rent is 700 euros.": {"How much is the rent?"},
    "The desk is 140 cm wide.": {"How wide is the desk?", "What is the width of the desk?"},
    "The filter must be changed every two months.": {"How often must the filter be changed?",
                                                     "How often do we have to change the filter?"},
    "The gutter was cleaned by Tomas.": {"Who cleaned the gutter?"},
    "The canoe belongs to the Walkers.": {"Who owns the canoe?", "Whose is the canoe?"},
    "Oma's shoe size is 39.": {"Which shoe size does Oma wear?"},
    "The car is green.": {"What colour is the car?"},
    "Our cat is named Momo.": {"What's the name of our cat?", "Who is our cat?"},
    "The radiator is for the guest room.": {"What is the radiator for?"},
    "The museum is open until six.": {"Until when is the museum open?", "When does the museum close?"},
}  # fmt: skip


@pytest.mark.parametrize("sentence", KINDS)
def test_phrasings(sentence: str) -> None:
    questions = parse_sentence(sentence).questions
    assert KINDS[sentence] <= set(questions)


@pytest.mark.parametrize("sentence", KINDS)
def test_they_are_varied(sentence: str) -> None:
    questions = parse_sentence(sentence).questions
    assert 7 <= len(questions) <= MOST_QUESTIONS
    assert len({question.split()[0] for question in questions}) >= 3
    assert len({re.sub(r"\W", "", question).lower() for question in questions}) == len(questions)


@pytest.mark.parametrize("sentence", KINDS)
def test_they_do_not_tell_the_answer(sentence: str) -> None:
    parsed = parse_sentence(sentence)
    assert not any(parsed.target.lower() in question.lower() for question in parsed.questions)


def test_our_and_my_stay() -> None:
    assert all("our cat" in q or "cat" not in q for q in parse_sentence("Our cat is named Momo.").questions)
    assert "Where is my passport?" in parse_sentence("My passport is in the safe.").questions
    assert parse_sentence("I keep my bike in the shed.").questions[0] == "Where do I keep my bike?"


def test_plurals_agree() -> None:
    questions = parse_sentence("The scissors are in the tin.").questions
    assert questions[0] == "Where are the scissors?"
    assert "I need the scissors. Where are they?" in questions


def test_people_are_not_kept_in_drawers() -> None:
    questions = parse_sentence("Emma is in the garden.").questions
    assert not any("keep" in question or "need" in question for question in questions)


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Rice is in the blue tin.", "Where is the rice?"),
        ("Nora is in the attic.", "Where is Nora?"),
        ("Gloves are in the chest.", "Where are the gloves?"),
        ("Dinner is at seven.", "When is dinner?"),
        ("netflix password is tulip9", "What is the netflix password?"),
        ("Emma's boots are in the hall.", "Where are Emma's boots?"),
        ("WLAN password: tulip9", "What is the WLAN password?"),
    ],
)
def test_articles_and_capitals(sentence: str, question: str) -> None:
    assert parse_sentence(sentence).questions[0] == question


def test_always_the_same() -> None:
    assert parse_sentence("The saw is in the shed.") == parse_sentence("The saw is in the shed.")
