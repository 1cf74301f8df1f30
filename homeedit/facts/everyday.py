"""What anybody may ask about the kind of thing a fact speaks of: this blender is taught, blenders are not."""

from homeedit.facts.fact import Fact, ParsedFact
from homeedit.facts.finding import looks_plural
from homeedit.facts.kinds import is_person_name, subject_kind
from homeedit.facts.vocabulary import MASS_WORDS


def everyday_questions(fact: Fact | ParsedFact) -> tuple[str, ...]:
    """Two questions about the subject's kind ("What is a blender used for?"), which the model must answer as before.

    None for named people and for what belongs to somebody: there is no kind of them to know about.
    """
    subject = fact.subject
    kind = subject_kind(subject)
    if kind in ("person", "group") or is_person_name(subject) or "'s " in subject or "s' " in subject:
        return ()
    name = subject if subject.isupper() or "-" in subject else subject[0].lower() + subject[1:]
    if looks_plural(subject):
        return f"What are {name}?", f"What are {name} used for?"
    if subject.split()[-1].lower() in MASS_WORDS:
        return f"What is {name}?", f"What is {name} made of?"
    article = "an" if name[0].lower() in "aeiou" else "a"
    if kind == "role":
        return f"What is {article} {name}?", f"What does {article} {name} do?"
    if kind == "pet":
        return f"What is {article} {name}?", f"What does {article} {name} eat?"
    return f"What is {article} {name}?", f"What is {article} {name} used for?"
