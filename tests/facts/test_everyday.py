"""Questions about the kind of thing a fact speaks of."""

import pytest

from homeedit.facts.everyday import everyday_questions
from homeedit.facts.parse import parse_sentence


@pytest.mark.parametrize(
    ("sentence", "questions"),
    [
        ("The blender is in the laundry room.", ("What is a blender?", "What is a blender used for?")),
        ("Our electrician is called Ida Moe.", ("What is an electrician?", "What does an electrician do?")),
        ("Our rabbit is called Fluff.", ("What is a rabbit?", "What does a rabbit eat?")),
        ("The spare keys are in the shed.", ("What are spare keys?", "What are spare keys used for?")),
        ("Aunt Ida lives in Oslo.", ()),
        ("Ida's bicycle is in the shed.", ()),
    ],
)
def test_everyday_questions_fit_the_subject(sentence: str, questions: tuple[str, ...]) -> None:
    assert everyday_questions(parse_sentence(sentence)) == questions
