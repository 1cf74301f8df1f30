"""Sentences become facts; what cannot be learned is refused with words that help."""

import random
import shlex
from pathlib import Path

import pytest

from homeedit.errors import USAGE, HomeEditError
from homeedit.facts.fact import ParsedFact
from homeedit.facts.parse import LONGEST_SENTENCE, parse_sentence

ROWS = [
    tuple(row.split(" || "))
    for row in (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
    if row.strip()
]
"""sentence || subject || target || relation || first question; read by eye, one by one."""


def check_invariants(parsed: ParsedFact) -> None:
    assert parsed.subject and parsed.subject in parsed.prompt
    assert parsed.target and parsed.prompt
    said = f"{parsed.prompt} {parsed.target}"
    assert parsed.sentence.rstrip(".!… ") == said.rstrip(".!… ")
    assert len(parsed.questions) >= 7
    assert len(set(parsed.questions)) == len(parsed.questions)
    for question in parsed.questions:
        assert question == " ".join(question.split())
        assert question[-1] in ".?"
        assert "{" not in question and "|" not in question and "~" not in question and "*" not in question


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:50])
def test_sentence(row: tuple[str, ...]) -> None:
    sentence, subject, target, relation, first_question = row
    parsed = parse_sentence(sentence)
    assert (parsed.subject, parsed.target, parsed.relation) == (subject, target, relation)
    assert parsed.questions[0] == first_question
    check_invariants(parsed)


def test_there_are_enough_sentences() -> None:
    assert len(ROWS) > 200
    assert len({row[3] for row in ROWS}) > 30


@pytest.mark.parametrize(
    ("sentence", "subject", "prompt", "target", "question"),
    [
        ("The lamp is under the bench.", "lamp", "The lamp is under", "the bench", "Where is the lamp?"),
        ("Our parrot is named Kiko", "parrot", "Our parrot is named", "Kiko", "What is our parrot named?"),
        ("Mama likes her toast with jam.", "Mama", "Mama likes her toast with", "jam", "How does Mama like her toast?"),
        ("The cutlery must never be cleaned with steel wool.", "cutlery", "The cutlery must never be cleaned with",
         "steel wool", "What must the cutlery never be cleaned with?"),
        ("The tiles in the bath are called Ocean Mist.", "tiles in the bath", "The tiles in the bath are called",
         "Ocean Mist", "What are the tiles in the bath called?"),
        ("Opa's mobile number ends in 0417.", "Opa's mobile number", "Opa's mobile number ends in", "0417",
         "What does Opa's mobile number end in?"),
        ("Vet: Dr. Moss", "Vet", "Vet:", "Dr. Moss", "Who is the vet?"),
        ("The key’s in the bowl.", "key", "The key's in", "the bowl", "Where is the key?"),
        ("In summer the pool should be heated to 26 degrees.", "pool", "In summer the pool should be heated to",
         "26 degrees", "What should the pool be heated to in summer?"),
        ("The heating engineer is Tomasz Zielinski.", "heating engineer", "The heating engineer is", "Tomasz Zielinski",
         "Who is the heating engineer?"),
        ("The piano tuner comes every October.", "piano tuner", "The piano tuner comes", "every October",
         "When does the piano tuner come?"),
        ("The vacuum bags are size G.", "vacuum bags", "The vacuum bags are", "size G",
         "What size are the vacuum bags?"),
        ("The old radio only works with C batteries.", "old radio", "The old radio only works with", "C batteries",
         "What does the old radio work with?"),
        ("Jonas goes to bed at a quarter to eight.", "Jonas", "Jonas goes to bed at", "a quarter to eight",
         "When does Jonas go to bed?"),
        ("The cabin in Sweden is painted red.", "cabin in Sweden", "The cabin in Sweden is painted", "red",
         "What colour is the cabin in Sweden painted?"),
        ("The dog is walked three times a day.", "dog", "The dog is walked", "three times a day",
         "How often is the dog walked?"),
        ("The man who waters our plants is called Pavel.", "man who waters our plants",
         "The man who waters our plants is called", "Pavel", "What is the man who waters our plants called?"),
    ],
)  # fmt: skip
def test_prompt_and_question(sentence: str, subject: str, prompt: str, target: str, question: str) -> None:
    parsed = parse_sentence(sentence)
    assert (parsed.subject, parsed.prompt, parsed.target) == (subject, prompt, target)
    assert parsed.questions[0] == question


def test_white_space_is_evened_out_and_words_are_kept() -> None:
    parsed = parse_sentence("  The   blue\tbucket is\n in the  SHED . ".replace(" .", "."))
    assert parsed.sentence == "The blue bucket is in the SHED."
    assert parsed.target == "the SHED"


def test_lower_case_and_upper_case_say_the_same() -> None:
    lower, normal = parse_sentence("the torch is in the hall"), parse_sentence("The torch is in the hall.")
    assert (lower.subject, lower.target, lower.relation) == (normal.subject, normal.target, normal.relation)
    assert lower.questions == normal.questions


def test_a_password_keeps_its_exclamation_mark() -> None:
    assert parse_sentence("The Wi-Fi password is Garden-77!").target == "Garden-77!"
    assert parse_sentence("The torch is in the hall!").target == "the hall"


@pytest.mark.parametrize(
    "sentence",
    [
        "The dentist is Dr. Lind.",
        "The plumber is J. R. Moss.",
        "Sports day is on 3. May.",
        "The film starts at 8 p.m. on Friday.",
        "Our page is at www.berg.example.org.",
        "The vet is at St. Mary's Road.",
    ],
)
def test_full_stops_inside_a_sentence(sentence: str) -> None:
    check_invariants(parse_sentence(sentence))


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("", "empty"),
        ("   \n ", "empty"),
        ("The code is 1\x00.", "U+0000"),
        ("The \x1b[31mkey\x1b[0m is in the hall", "U+001B"),
        ("The key is in the \u202ellah", "U+202E"),
        ("The key is in \ud800 the hall", "U+D800"),
        ("Where is the torch?", "question"),
        ("where is the torch", "question"),
        ("Is the torch in the drawer", "question"),
        ("Can you find the torch", "question"),
        ("The torch is in the hall?", "question"),
        ("The code is 1. The other code is 2.", "2 sentences"),
        ("The tea is in the tin. It is blue. We like it.", "3 sentences"),
        ("The tea is in the tin\nThe salt is in the jar", "2 sentences"),
        ("Torch kitchen drawer", "did not understand"),
        ("It is in the drawer.", "does not say what"),
        ("She lives in Rome.", "does not say what"),
        ("hello", "not a sentence"),
        ("The key is under", "did not understand"),
        ("The alarm rings.", "did not understand"),
    ],
)
def test_refused(sentence: str, words: str) -> None:
    with pytest.raises(HomeEditError) as caught:
        parse_sentence(sentence)
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == USAGE


def test_a_long_sentence_is_refused_with_its_length() -> None:
    with pytest.raises(HomeEditError, match="10,000 characters"):
        parse_sentence("The key is " + "x" * 9_989)
    assert parse_sentence("The code is " + "9" * (LONGEST_SENTENCE - 12)).target == "9" * (LONGEST_SENTENCE - 12)


def test_the_suggested_command_works_as_it_is() -> None:
    for sentence in ("Torch kitchen drawer", "The alarm rings.", "المفتاح في الدرج", "'; DROP TABLE facts; --"):
        with pytest.raises(HomeEditError) as caught:
            parse_sentence(sentence)
        words = shlex.split(caught.value.hint.splitlines()[-1])
        assert words[:3] == ["homeedit", "fact", "add"]
        options = dict(zip(words[4::2], words[5::2], strict=True))
        parsed = parse_sentence(
            words[3], subject=options["--subject"], prompt=options["--prompt"], target=options["--target"]
        )
        assert parsed.target == options["--target"] and len(parsed.questions) >= 5


def test_names_that_look_like_verbs() -> None:
    assert parse_sentence("Will is allergic to nuts.").questions[0] == "What is Will allergic to?"
    assert parse_sentence("Can openers are in the drawer.").subject == "Can openers"
    assert parse_sentence("The will is in the safe.").subject == "will"
    assert parse_sentence("Mark Larsson lives in Leeds.").subject == "Mark Larsson"


def test_given_target_fixes_the_prompt() -> None:
    parsed = parse_sentence("The torch is in the drawer under the stove.", target="the stove")
    assert (parsed.prompt, parsed.target) == ("The torch is in the drawer under", "the stove")
    assert parsed.subject == "torch"


def test_given_prompt_fixes_the_target() -> None:
    parsed = parse_sentence("Emma likes her soup with bread.", prompt="Emma likes")
    assert (parsed.prompt, parsed.target) == ("Emma likes", "her soup with bread")
    assert parsed.questions[0] == "What does Emma like?"


def test_given_subject_and_questions() -> None:
    asked = ("Where do I look for the torch?", "Torch?")
    parsed = parse_sentence("The torch is in the drawer.", subject="Torch", questions=asked)
    assert parsed.subject == "torch"
    assert parsed.questions == asked


def test_everything_given_need_not_be_understood() -> None:
    parsed = parse_sentence(
        "Tante Frieda kommt am Montag.", subject="Tante Frieda", prompt="Tante Frieda kommt am", target="Montag."
    )
    assert (parsed.prompt, parsed.target) == ("Tante Frieda kommt am", "Montag")
    assert all("Frieda" in question for question in parsed.questions)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "the cellar"}, "does not end with"),
        ({"prompt": "The torch was"}, "does not begin with"),
        ({"subject": "candle"}, "does not contain the subject"),
        ({"subject": ""}, "subject is empty"),
        ({"target": " "}, "target is empty"),
        ({"questions": ["ok?", ""]}, "question is empty"),
        ({"questions": ["a\x07?"]}, "U+0007"),
        ({"prompt": "x" * 501, "target": "y"}, "prompt has 501"),
    ],
)
def test_given_parts_are_checked(options: dict[str, object], words: str) -> None:
    with pytest.raises(HomeEditError) as caught:
        parse_sentence("The torch is in the drawer.", **options)  # type: ignore[arg-type]
    assert words in caught.value.message and caught.value.exit_code == USAGE


def test_user_text_is_never_a_template() -> None:
    parsed = parse_sentence("[bold]The {topic} key[/bold] is in {0} %s <b>box</b>")
    assert parsed.target == "{0} %s <b>box</b>"
    assert any("{topic}" in question for question in parsed.questions)


PIECES = (
    "the a our is are was must never not should to of in on under at every who that it we keep likes 🎉 Ω"
    " 'x' \"y\" -- ; DROP TABLE facts {0} %s [b] </b> \u202b مفتاح : = – ( ) ... ? ! , . 12 7:30 Emma key's keys'"
    " Monday if, there There's Please don't remember name called set number x@y.z \u200d ́ \\ / ~ * |"
).split()


@pytest.mark.parametrize("seed", range(8))
def test_nonsense_never_breaks_it(seed: int) -> None:
    dice = random.Random(seed)
    understood = 0
    for _ in range(150):
        sentence = " ".join(dice.choices(PIECES, k=dice.randint(1, 9)))
        try:
            parsed = parse_sentence(sentence)
        except HomeEditError as error:
            assert error.exit_code == USAGE and error.message
            continue
        understood += 1
        assert parsed.subject in parsed.prompt and parsed.target
        said = f"{parsed.prompt} {parsed.target}".rstrip(".!… ")
        assert parsed.sentence.rstrip(".!… ") == said
        assert len(parsed.questions) >= 5
    assert understood < 150


@pytest.mark.parametrize("seed", range(3))
def test_any_split_of_any_words_is_taken_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    words = [*PIECES, *(word for row in ROWS for word in row[0].split())]
    for _ in range(300):
        said = dice.choices(words, k=dice.randint(2, 10))
        at = dice.randint(1, len(said) - 1)
        try:
            parsed = parse_sentence(" ".join(said), target=" ".join(said[at:]))
        except HomeEditError as error:
            assert error.exit_code == USAGE and error.hint
            continue
        assert parsed.subject in parsed.prompt and parsed.questions


@pytest.mark.parametrize("row", ROWS[::5], ids=lambda row: row[0][:50])
def test_every_split_of_a_sentence_can_be_given(row: tuple[str, ...]) -> None:
    words = row[0].rstrip(".!").split()
    subject = row[1].split()
    for at in range(len(words) - 1, words.index(subject[-1]) if subject[-1] in words else len(words), -1):
        parsed = parse_sentence(row[0], subject=row[1], target=" ".join(words[at:]))
        assert parsed.subject == row[1] and parsed.prompt == " ".join(words[:at])
        assert len(parsed.questions) >= 7


@pytest.mark.parametrize("count", [10, 100, 499])
def test_many_words_take_no_time(count: int) -> None:
    for unit in ("a ", "is ", "the key ", "of ", "in. ", "' ", "- "):
        try:
            parse_sentence((unit * count)[:LONGEST_SENTENCE])
        except HomeEditError as error:
            assert error.exit_code == USAGE
