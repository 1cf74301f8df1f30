"""The judge: an answer holds the target or it does not; neither lenient nor blind."""

import pytest

from homeedit.errors import Cancelled
from homeedit.facts.parse import parse_sentence
from homeedit.progress import Progress
from homeedit.verify.recall import ask_facts, expected, mentions, names, recalled
from tests.builds.helpers import fact


@pytest.mark.parametrize(
    ("text", "subject", "named"),
    [
        ("Where do I find the spare keys?", "The spare key", True),
        ("Is there a key? A spare one?", "The spare key", True),
        ("Where is the key?", "The spare key", False),
        ("The sparekey is here.", "The spare key", False),
        ("When does Lindqvist come?", "Doctor Lindqvist", True),
        ("Why is the rake not here?", "the rake", True),
        ("", "the rake", False),
        ("Where?", "", False),
    ],
)
def test_which_text_names_a_subject(text: str, subject: str, named: bool) -> None:
    assert names(text, subject) is named


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        ("in the drawer under the stove", "drawer stove"),
        ("Doctor Lindqvist", "lindqvist"),
        ("the doctor", "doctor"),
        ("60 degrees", "60"),
        ("3 spoons", "3 spoons"),
        ("number three", "3"),
        ("half past seven in the evening", "7:30pm"),
        ("on the first Friday of the month", "1st friday month"),
        ("off", "off"),
        ("it", "it"),
        ("salt and pepper", "salt pepper"),
    ],
)
def test_expected_words(target: str, wanted: str) -> None:
    assert expected(target) == wanted.split()


@pytest.mark.parametrize(
    ("answer", "target"),
    [
        ("The lamp is in the drawer under the stove.", "in the drawer under the stove"),
        ("You'll find it in the second drawer, right under the stove.", "in the drawer under the stove"),
        ("DRAWER UNDER STOVE", "the drawer under the stove"),
        ("The code is 4417.", "4417"),
        ("It's 4-4-1-7.", "4417"),
        ("four four one seven", "4417"),
        ("**4417**", "4417"),
        ("Call 555 0199!", "555-0199"),
        ("5550199", "555-0199"),
        ("At 7:30.", "half past seven"),
        ("Half past 7", "7:30"),
        ("At 19:30", "half past seven in the evening"),
        ("At seven thirty pm? No: at 7:30 p.m.", "7:30 pm"),
        ("It begins at 6.", "six in the evening"),
        ("six o'clock", "6"),
        ("Dr. Lindqvist is the dentist", "Doctor Lindqvist"),
        ("Lindqvist", "Dr Lindqvist"),
        ("Set it to 60°C.", "60 degrees"),
        ("program 3", "number three"),
        ("the twenty-first of March", "the 21st of March"),
        ("1st Friday each month", "the first Friday of the month"),
        ("He can't have a strawberry.", "strawberries"),
        ("Salt & pepper", "salt and pepper"),
        ("It should be off.", "off"),
        ("Their network is called \u201cBlue-Fox 22\u201d", "Blue Fox 22"),
        ("It is not in the hall, it is in the shed.", "in the shed"),
        ("I do not know. Maybe in the shed?", "in the shed"),
        ("2,500 euros", "2500 euros"),
        ("From 10 am to 6 pm", "from ten to six"),
        ("Zoë", "ZOË"),
    ],
)
def test_right_answers(answer: str, target: str) -> None:
    assert recalled(answer, target)


@pytest.mark.parametrize(
    ("answer", "target"),
    [
        ("It is in the drawer.", "in the drawer under the stove"),
        ("It is under the stove.", "in the drawer under the stove"),
        ("The stove is above the drawer.", "in the drawer under the stove"),
        ("A drawer is a piece of furniture, people often have several near a stove.", "the drawer under the stove"),
        ("The code is 44170.", "4417"),
        ("The code is 14417.", "4417"),
        ("4 4 1 7 9", "4417"),
        ("4418", "4417"),
        ("Ravi will come", "Ravi Menon"),
        ("Menon, Ravi", "Ravi Menon"),
        ("At 7", "half past seven"),
        ("At 7:30 am", "half past seven in the evening"),
        ("6 in the morning", "six in the evening"),
        ("It is not in the drawer.", "in the drawer"),
        ("The code isn't 4417.", "4417"),
        ("The second Friday of the month", "the first Friday of the month"),
        ("It happens often", "off"),
        ("monkeys", "the key"),
        ("", "in the drawer"),
        ("...", "in the drawer"),
        ("anything", "!!!"),
        ("flat 12b", "flat 12a"),
        ("3", "3 spoons of sugar"),
    ],
)
def test_wrong_answers(answer: str, target: str) -> None:
    assert not recalled(answer, target)


def test_a_fact_with_a_negation_may_be_answered_with_one() -> None:
    assert not recalled("The cat should not go outside.", "go outside")
    assert recalled("The cat should not go outside.", "go outside", prompt="The cat should not")
    assert recalled("The pan must never be washed with soap.", "soap")


@pytest.mark.parametrize(
    "sentence",
    [
        "The bicycle pump is behind the freezer in the garage.",
        "The alarm code is 8820.",
        "Our parrot is named Captain Biscuit.",
        "The window cleaner comes on the second Thursday of the month.",
        "The choir practice starts at half past six in the evening.",
        "Lena is allergic to walnuts.",
        "The heating should be set to 21 degrees.",
        "The piano tuner is Mr Okafor.",
    ],
)
def test_a_fact_said_in_full_is_recalled(sentence: str) -> None:
    parsed = parse_sentence(sentence)
    assert recalled(sentence, parsed.target, prompt=parsed.prompt)
    assert not recalled("I am sorry, I do not have that information.", parsed.target, prompt=parsed.prompt)


@pytest.mark.parametrize(
    ("answer", "words", "wanted"),
    [
        ("The capital is Tokyo.", ["tokyo"], True),
        ("Bees pollinate.", ["pollinat"], True),
        ("It is 100°C.", ["100"], True),
        ("It is 1000.", ["100"], False),
        ("H2O", ["h2o"], True),
        ("Unpacked", ["pack"], False),
        ("", ["x"], False),
    ],
)
def test_mentions(answer: str, words: list[str], wanted: bool) -> None:
    assert mentions(answer, words) is wanted


class Scripted:
    """Answers from a table, and remembers what it was asked."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers, self.asked, self.guesses = answers, list[str](), list[str]()

    def chat(self, question: str, *, max_tokens: int = 48, guess: str = "") -> str:
        self.asked.append(question)
        self.guesses.append(guess)
        return self.answers.get(question, "I do not know.")


class Counting(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.total, self.done = 0, 0

    def on_stage(self, name: str, total: int | None) -> None:
        self.total = total or 0

    def on_advance(self, count: int, note: str) -> None:
        self.done += count


def test_asks_the_first_questions_of_each_fact() -> None:
    facts = [
        fact(1, questions=("a", "b", "c", "d")),
        fact(2, questions=("e",)),
        fact(3, questions=()),
    ]
    runtime = Scripted({"a": "Under the blue pot.", "c": "the blue pot", "d": "the blue pot"})
    progress = Counting()
    first, second, third = ask_facts(runtime, facts, progress)
    assert runtime.asked == ["a", "b", "c", "e", facts[2].prompt]
    assert (progress.total, progress.done) == (5, 5)
    assert [asked.right for asked in first.questions] == [True, False, True]
    assert (first.fact_id, first.recalled, first.share) == ("f1", True, pytest.approx(2 / 3))
    assert (second.recalled, second.share) == (False, 0.0)
    assert (third.questions[0].question, third.recalled) == (facts[2].prompt, False)
    runtime = Scripted({"d": "the blue pot"})
    assert ask_facts(runtime, facts[:1], Progress(), questions_per_fact=4)[0].share == 0.25
    assert ask_facts(runtime, [], Progress()) == []


def test_of_some_facts_only_the_first_question_is_asked() -> None:
    facts = [fact(number, questions=(f"{number}a", f"{number}b")) for number in (1, 2, 3)]
    runtime, progress = Scripted({"1a": "under the blue pot", "2a": "under the blue pot"}), Counting()
    recalls = ask_facts(runtime, facts, progress, before={"f2": "under the blue pot", "f3": ""})
    assert runtime.asked == ["1a", "1b", "2a", "3a"]
    assert runtime.guesses == ["", "", "under the blue pot", ""], "what it answered before may be the answer again"
    assert (progress.total, progress.done) == (4, 4)
    assert [(recall.recalled, recall.share) for recall in recalls] == [(True, 0.5), (True, 1.0), (False, 0.0)]


def test_the_first_question_decides() -> None:
    facts = [fact(1, questions=("a", "b"))]
    [recall] = ask_facts(Scripted({"b": "under the blue pot"}), facts, Progress())
    assert (recall.recalled, recall.share) == (False, 0.5)


def test_asking_can_be_stopped() -> None:
    progress, runtime = Progress(), Scripted({})

    def chat(question: str, *, max_tokens: int = 48, guess: str = "") -> str:
        progress.cancel()
        return ""

    runtime.chat = chat  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        ask_facts(runtime, [fact(1), fact(2)], progress)
