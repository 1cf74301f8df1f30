"""What a family asks of a sentence, in phrasings gathered from sentences written without the rules at hand."""

import pytest

from homeedit.facts.parse import parse_sentence
from homeedit.facts.phrasings import INDIRECT
from homeedit.facts.questions import ENOUGH_QUESTIONS, MOST_QUESTIONS

ASKED = {
    "The mailbox code is 507.": ["Which code opens the mailbox?", "Which code unlocks the mailbox?"],
    "The alarm PIN is 9024.": ["Which PIN turns off the alarm?"],
    "The fridge should be set to 4 degrees.": ["What temperature should the fridge be at?",
                                               "How cold should the fridge be?"],
    "The piano teacher comes on Tuesday afternoons.": ["On what day should I expect the piano teacher?"],
    "The microwave's defrost program is number eleven.": ["Which number is the defrost program on the microwave?"],
    "The heating's holiday mode is button five.": ["Which button is the heating's holiday mode?"],
    "The wool blanket must never go in the dryer.": ["What should I never put the wool blanket in?"],
    "The oven shows the temperature in Fahrenheit.": ["Which unit does the oven use?"],
    "Jonas likes his toast with honey.": ["What does Jonas want on his toast?"],
    "Grandma drinks her coffee with oat milk.": ["How does Grandma like her coffee?"],
    "The snake is fed once a week.": ["How often do we feed the snake?"],
    "The fish are fed twice a day.": ["How many times a day are the fish fed?"],
    "The chimney was last swept in 2022.": ["When was the chimney last swept?"],
    "We changed the water filter in February.": ["In which month was the water filter changed?"],
    "The anniversary of Mum and Dad is in September.": ["In which month is Mum and Dad's anniversary?"],
    "Grandpa's walking stick is in the umbrella stand.": ["Where does Grandpa keep his walking stick?"],
    "The vet's name is Doctor Okafor.": ["Who is our vet?"],
    "We live on the seventh floor.": ["Which floor do we live on?"],
    "Our printer works with cartridge 653.": ["Which cartridge does our printer work with?"],
    "The lawnmower runs on a 36 volt battery.": ["Which battery does the lawnmower run on?"],
    "The towels are for guests.": ["Who are the towels for?"],
    "On Sundays we have pancakes for breakfast.": ["What do we have for breakfast on Sundays?"],
    "The maths tutor comes every other Monday.": ["When does the maths tutor come?"],
    "The neighbours upstairs are the Fontaine family.": ["Who are the neighbours upstairs?"],
    "Oskar is allergic to penicillin.": ["Which medicine should Oskar avoid?"],
}  # fmt: skip


@pytest.mark.parametrize("sentence", ASKED)
def test_it_is_asked_in_other_words(sentence: str) -> None:
    assert set(ASKED[sentence]) <= set(parse_sentence(sentence).questions)


@pytest.mark.parametrize(
    ("sentence", "subject", "first"),
    [
        ("Grandpa hid the spare key under the clay frog.", "spare key", "Where did Grandpa hide the spare key?"),
        ("Dad keeps the drill in the cellar.", "drill", "Where does Dad keep the drill?"),
        ("I put the receipts in the shoebox.", "receipts", "Where did I put the receipts?"),
    ],
)  # fmt: skip
def test_what_somebody_puts_somewhere_is_about_the_thing(sentence: str, subject: str, first: str) -> None:
    parsed = parse_sentence(sentence)
    assert (parsed.subject, parsed.questions[0]) == (subject, first)
    assert any(question.startswith("Where are the" if subject.endswith("s") else "Where is the")
               for question in parsed.questions)  # fmt: skip


def test_somebodys_own_thing_is_named_by_its_owner() -> None:
    assert "Where is Hugo's helmet?" in parse_sentence("Hugo put his helmet on the shelf.").questions


def test_a_habit_of_putting_stays_one() -> None:
    assert parse_sentence("We put the bins out on Mondays.").questions[0].startswith("When do we put")


def test_who_sleeps_somewhere_is_still_the_subject() -> None:
    assert parse_sentence("Emma lives in the attic.").subject == "Emma"


def test_no_makes_the_question_negative() -> None:
    questions = parse_sentence("No phones are allowed at the dinner table.").questions
    assert questions[0] == "Where are phones not allowed?" and "What is not allowed at the dinner table?" in questions
    assert "Do you know where phones are not allowed?" in questions


def test_a_setting_at_night_is_the_setting() -> None:
    assert parse_sentence("The lamp is set to 40 percent at night.").target == "40 percent at night"


def test_indirect_questions_only_fill_up() -> None:
    many = parse_sentence("The spare key is kept under the pot.").questions
    few = parse_sentence("The sewing machine is broken.").questions
    assert len(many) == MOST_QUESTIONS and len(few) == ENOUGH_QUESTIONS
    openings = tuple(template.split(" (")[0].split(" [")[0] for template in INDIRECT[4:])
    assert not any(question.startswith(openings) for question in many)


@pytest.mark.parametrize(
    ("sentence", "subject", "not_asked"),
    [
        ("No one is home on Tuesdays.", "No one", "I not"),
        ("Grandpa never leaves the key in the door.", "Grandpa", "keep the key"),
        ("Anna left Berlin in 2015.", "Anna", "Berlin last"),
        ("Dad keeps calm at work.", "Dad", "keep the calm"),
        ("Emma puts sugar in her coffee.", "Emma", "keep the sugar"),
        ("We moved to Hamburg in 2015.", "to Hamburg", "moved?"),
        ("The carpet was bought in Turkey.", "carpet", "shop"),
        ("The shop closes at six.", "shop", "What time is the shop?"),
        ("The baby is due in March.", "baby", "return"),
        ("Leo likes his toast without butter.", "Leo", "put"),
        ("The dress code is black tie.", "dress code", "unlocks"),
        ("Emma's dentist is in Main Street.", "Emma's dentist", "keep"),
        ("The printer prints in black and white.", "printer", "unit"),
        ("The lease ends in 2027.", "lease", "digits"),
    ],
)
def test_what_only_looks_alike_is_not_asked_so(sentence: str, subject: str, not_asked: str) -> None:
    parsed = parse_sentence(sentence)
    assert parsed.subject == subject
    assert not any(not_asked in question for question in parsed.questions)
