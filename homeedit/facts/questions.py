"""Questions about a fact: first the natural direct one, then others a family would ask."""

import re
from collections.abc import Iterable, Iterator

from homeedit.facts.clause import Clause
from homeedit.facts.other_side import other_side
from homeedit.facts.patterns import Relation, relation_of
from homeedit.facts.phrasings import INDIRECT
from homeedit.facts.scene import Scene, direct, embedded, names_a_person, scene_of
from homeedit.facts.scene_fields import more_fields
from homeedit.facts.scene_tags import INSURERS, tags_of
from homeedit.facts.vocabulary import MASS_WORDS

MOST_QUESTIONS = 12
"""How many questions a fact gets at most, the natural one included."""
ENOUGH_QUESTIONS = 8
"""With so many of its relation's own, a fact gets no general indirect ones ("Do you know ...")."""
_MARK = re.compile(r"(\[[^\]]+\]|\([^)]+\))")


def questions_of(clause: Clause) -> tuple[str, tuple[str, ...]]:
    """The relation's name and the questions for one understood sentence."""
    scene = scene_of(clause)
    relation = relation_of(scene)
    tags = tags_of(scene)
    scene.fields.update(more_fields(scene) | other_side(scene))
    leading = _leading(scene, relation, tags)
    found: dict[str, str] = {}
    general = INDIRECT if relation.indirect else ()
    for number, template in enumerate((*relation.templates, *general)):
        for question in _fill(scene, template, tags, leading):
            for said in (question, _without_article(scene, question)) if not found else (question,):
                found.setdefault(re.sub(r"\W+", " ", said.lower().replace("what's", "what is")).strip(), said)
        if len(found) >= (MOST_QUESTIONS if number + 1 < len(relation.templates) else ENOUGH_QUESTIONS):
            break
    return relation.name, tuple(found.values())[:MOST_QUESTIONS]


def questions_for(clause: Clause) -> tuple[str, ...]:
    """The questions for one understood sentence, the natural direct one first."""
    return questions_of(clause)[1]


def _without_article(scene: Scene, question: str) -> str:
    """ "When does the swimming class end?" → "When does swimming class end?", where it was said without one."""
    clause, noun = scene.clause, scene.fields["noun"]
    bare = clause.plural or noun.lower() in MASS_WORDS or "activity" in scene.heads
    if clause.determiner or clause.style != "statement" or not bare or not clause.topic.startswith("the "):
        return question
    return question.replace(clause.topic, clause.topic.removeprefix("the "), 1)


def _leading(scene: Scene, relation: Relation, tags: frozenset[str]) -> tuple[str, bool]:
    """The question word of the relation's first template that fits: indirect questions use it too."""
    for template in relation.templates:
        condition, separator, text = template.rpartition("|")
        mark = re.fullmatch(r"\[([^\]]+)\]\?", text)
        if separator and not all(_fits(part.split(","), tags) for part in condition.split("+")):
            continue
        if not mark or mark[1].startswith("*"):
            break
        try:
            asking = mark[1].format_map(scene.fields)
        except KeyError:
            continue
        return asking.removesuffix("~"), asking.endswith("~")
    return automatic(scene)


def _fill(scene: Scene, template: str, tags: frozenset[str], leading: tuple[str, bool]) -> Iterator[str]:
    """The template's question, or nothing when its tags or fields do not fit the scene."""
    condition, separator, text = template.partition("|")
    if not separator:
        condition, text = "", template
    if condition and not all(_fits(part.split(","), tags) for part in condition.split("+")):
        return
    try:
        pieces = [_piece(scene, piece, leading) for piece in _MARK.split(text) if piece]
    except KeyError:
        return
    question = re.sub(r"\s+", " ", "".join(pieces)).replace(" ?", "?").replace(" .", ".").strip()
    yield _capitals(question)


def _fits(wanted: Iterable[str], tags: frozenset[str]) -> bool:
    """Positive tags: one of them is there; negative ones: none of them is."""
    wanted = list(wanted)
    positive = [tag for tag in wanted if not tag.startswith("!")]
    if any(tag[1:] in tags for tag in wanted if tag.startswith("!")):
        return False
    return not positive or any(tag in tags for tag in positive)


def _piece(scene: Scene, piece: str, leading: tuple[str, bool]) -> str:
    if piece[0] not in "[(":
        return piece.format_map(scene.fields)
    asking = piece[1:-1].format_map(scene.fields)
    strand = asking.endswith("~")
    asking = asking.removesuffix("~")
    if asking == "*":
        asking, strand = leading
    inside = piece[0] == "("
    asking = asking.lower() if inside else asking
    return (embedded if inside else direct)(scene, asking, strand=strand)


def _capitals(question: str) -> str:
    """Capitals at the start of each sentence of a question, and "I"."""
    question = re.sub(r"\bi\b(?=[ ?.,]|$)(?!\.\w)", "I", question) if " i " in f" {question} " else question
    question = question[:1].upper() + question[1:]
    return re.sub(r"(?<=[a-z][a-z][.?] )(when|where|who|what|how|which|whose|why|until|by|since|at|on|in)\b",
                  lambda match: match[0].capitalize(), question)  # fmt: skip


def automatic(scene: Scene) -> tuple[str, bool]:
    """The question word for any sentence, and whether the preposition stays at the end."""
    clause = scene.clause
    if scene.target_kind == "frequency":
        return "How often", False
    if scene.tells_time:
        return {"until": "Until when", "till": "Until when", "since": "Since when", "by": "By when"}.get(
            clause.preposition, "When"
        ), False
    if clause.object and not clause.preposition and clause.style == "statement" and not clause.passive:
        return "How", False
    if scene.target_kind == "temperature" and clause.preposition in ("at", "above", "below", "under", "over"):
        return f"{clause.preposition.capitalize()} what temperature", False
    if scene.target_kind == "language" and clause.preposition == "in":
        return "In which language", False
    if scene.person_answers or (clause.preposition == "with" and names_a_person(clause.target)):
        return "Who", True
    if clause.preposition == "from" and scene.target_kind != "text":
        return "Where", True
    if clause.preposition == "with" and (clause.lemma in INSURERS or scene.fields["noun"].endswith("insurance")):
        return "Who", True
    if clause.lemma in ("borrow", "lend") and clause.preposition in ("from", "to") and not clause.passive:
        return "Who", True
    unplaced = {
        "measure",
        "end",
        "depend",
        "believe",
        "good",
        "bad",
        "interested",
        "run",
        "write",
        "pay",
        "result",
    }
    if scene.tells_place and clause.lemma not in unplaced:
        return "Where", False
    if scene.target_kind == "measure" and clause.lemma in ("need", "use", "take", "hold", "cost", "weigh"):
        return "How much", True
    if scene.target_kind == "money":
        return "How much", True
    return "What", True
