"""Questions about a fact: first the natural direct one, then others a family would ask."""

import re
from collections.abc import Iterable, Iterator

from homeedit.facts.clause import Clause
from homeedit.facts.finding import looks_plural
from homeedit.facts.kinds import subject_kind
from homeedit.facts.other_side import job_of, other_side
from homeedit.facts.patterns import Relation, relation_of
from homeedit.facts.phrasings import INDIRECT
from homeedit.facts.scene import Scene, direct, embedded, names_a_person, scene_of
from homeedit.facts.verbs import past
from homeedit.facts.vocabulary import MASS_WORDS, kinds_of
from homeedit.facts.words import NUMBER_WORDS, PLACE_PREPOSITIONS, plain

MOST_QUESTIONS = 12
"""How many questions a fact gets at most, the natural one included."""
ENOUGH_QUESTIONS = 8
"""With so many of its relation's own, a fact gets no general indirect ones ("Do you know ...")."""
_MARK = re.compile(r"(\[[^\]]+\]|\([^)]+\))")
_EXTENTS = {
    "long": "length",
    "wide": "width",
    "high": "height",
    "tall": "height",
    "deep": "depth",
    "heavy": "weight",
    "thick": "thickness",
    "old": "age",
}
INSURERS = ("insure", "insured", "register", "registered", "bank")
"""Verbs that are done with a company."""
_NETWORK = ("wifi", "wi-fi", "wlan", "network", "internet", "router", "hotspot")
_NOT_OPENED = ("wifi", "wi-fi", "netflix", "email", "e-mail", "printer", "account", "spotify", "bank", "card")
_ROUTINES = {
    "bedtime": ("go to bed", "be in bed"),
    "lunch time": ("have lunch", "have lunch"),
    "dinner time": ("have dinner", "be at the table"),
    "bath time": ("have a bath", "be in the bath"),
    "nap time": ("take a nap", "take a nap"),
    "wake-up time": ("wake up", "get up"),
    "curfew": ("have to be home", "be home"),
    "breakfast time": ("have breakfast", "be at breakfast"),
}


def questions_of(clause: Clause) -> tuple[str, tuple[str, ...]]:
    """The relation's name and the questions for one understood sentence."""
    scene = scene_of(clause)
    relation = relation_of(scene)
    tags = _tags(scene)
    scene.fields.update(_more_fields(scene) | other_side(scene))
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


def _tags(scene: Scene) -> frozenset[str]:
    """What templates can ask about a scene."""
    clause, fields = scene.clause, scene.fields
    head = fields.get("head", fields["noun"]).lower()
    tags = {
        scene.target_kind,
        f"s:{scene.subject_kind}",
        f"v:{clause.lemma}",
        f"p:{clause.preposition}",
        clause.style,
    }
    tags |= {f"h:{kind}" for kind in scene.heads}
    simple = fields["topic"] in (f"the {fields['bare']}", f"our {fields['bare']}") and fields["bare"] == fields["noun"]
    live = scene.subject_kind in ("person", "role", "group", "pet")
    target_words = clause.target.lower().split()
    flags = {
        "identity": scene.identity,
        "past": clause.auxiliary in ("was", "were", "did", "has", "have"),
        "passive": "done" in fields,
        "modal": clause.auxiliary in ("must", "should") or clause.style == "imperative",
        "person": scene.person_answers,
        "simple_role": simple and scene.subject_kind == "role" and not clause.plural,
        "live_subject": live,
        "teacher": head.endswith("teacher") and "owner" in fields,
        "edible": any({"allergen", "food"} & set(kinds_of(plain(word))) for word in target_words),
        "opens": bool({"door", "locked"} & set(kinds_of(fields.get("modifier", "")))) or _lockable(fields),
        "network": any(word in _NETWORK for word in fields.get("modifier", "").lower().split()),
        "has_owner": "owner" in fields,
        "numbered": scene.target_kind == "number" and target_words[0] in ("number", "no", "no."),
        "age_target": scene.target_kind == "age",
        "ends": clause.lemma == "end" and clause.preposition in ("in", "with") and not scene.tells_time,
        "named_target": scene.target_kind in ("name", "person") and not live,
        "address_head": head.endswith("address") and scene.target_kind != "email" and "mail" not in head,
        "size_head": "size" in head,
        "favourite_head": head.startswith(("favourite ", "favorite ")),
        "routine_head": head in _ROUTINES,
        "has_in": fields["noun"] != fields["bare"] and "owner" not in fields,
        "can_ask": clause.lemma != "allow",
        "a_target": target_words[0] in ("a", "an"),
        "a_name": target_words[0] in ("a", "an") and len(target_words) == 2 and clause.target.split()[1][0].isupper(),
        "ours": clause.determiner == "our",
        "stored": clause.lemma == "store",
        "people": fields["noun"].split()[-1] != "room" and subject_kind(" ".join(target_words).removeprefix("the "), "the") in ("group", "role"),
        "off": fields.get("particle") == "off",
        "thing_subject": scene.subject_kind == "thing" and simple,
        "attributive": not live and target_words[0] not in ("a", "an"),
        "from_place": clause.preposition == "from" and not scene.person_answers
        and scene.target_kind == "text" and target_words[0] in ("the", "a", "our"),
        "with": clause.preposition in ("with", "without"),
        "job": job_of(scene),
        "quantity": "quantity" in fields,
        "sized": "size" in fields.get("labelled", "") and clause.lemma in ("wear", "be"),
        "role_owner": "the_owner" in fields,
        "whom": scene.person_answers or clause.lemma in INSURERS,
        "languages": scene.target_kind == "language",
    }  # fmt: skip
    return frozenset(tags | {name for name, holds in flags.items() if holds})


def _lockable(fields: dict[str, str]) -> bool:
    words = fields.get("modifier", "").lower().split()
    return bool(words) and not any(word in _NOT_OPENED for word in words) and words[-1] in (
        "door", "gate", "safe", "lock", "garage", "locker", "box", "shed",
    )  # fmt: skip


def _more_fields(scene: Scene) -> dict[str, str]:
    """Fields that only some relations' templates name."""
    clause, fields = scene.clause, scene.fields
    topic = fields["topic"]
    last = clause.target.lower().split()[-1].strip(".")
    more = {
        "Topic": topic[:1].upper() + topic[1:],
        "Does": fields["do"].capitalize(),
        "Be": fields["be"].capitalize(),
        "aux": clause.auxiliary if clause.auxiliary not in ("", "'s") else "is",
        "verb": clause.verb,
        "was": "were" if fields["be"] == "are" else "was",
        "prep": clause.preposition,
        "until": clause.preposition or "until",
        "Until": (clause.preposition or "until").capitalize(),
        "it_object": "them" if clause.plural else "it",
        "them_person": "them" if clause.plural or scene.subject_kind != "pet" else "it",
        "on": "with" if clause.preposition in ("with", "without") else "for",
        "act": clause.verb,
    }
    if "the_owner" in fields:
        more["our_owner"] = f"our {fields['the_owner'].removeprefix('the ')}"
    sized = re.fullmatch(r"(shoe|boot|glove|ring|hat|trouser) size", fields.get("labelled", ""))
    if sized:
        more["garment"] = sized[1] + "s"
    meal = re.search(r" for (breakfast|lunch|dinner|supper|dessert)$", clause.target)
    if meal:
        more["meal"] = meal[1]
    more["actor"] = "I" if clause.actor == "i" else clause.actor
    times = re.search(r"(?:times|once|twice) ((?:a|per|each|every) \w+)$", clause.target)
    if times:
        more["a_period"] = times[1]
    if last in _EXTENTS:
        more |= {"dimension": last, "extent": _EXTENTS[last]}
    if clause.preposition in ("at", "above", "below"):
        more["At"] = clause.preposition.capitalize()
    if "modifier" in fields:
        known = kinds_of(fields["modifier"]) or fields["modifier"].islower()
        more["the_modifier"] = f"the {fields['modifier']}" if known else fields["modifier"]
    if clause.object:
        more["object_plain"] = re.sub(r"^(his|her|their|its|my|our) ", "", clause.object)
        more["them_object"] = "them" if looks_plural(clause.object) else "it"
        more["thing"] = re.sub(r"^(a|an|the) ", "", clause.object)
    if "done" in fields:
        more["past"] = past(clause.lemma)
    if clause.negation == "not" and clause.auxiliary:
        more["plain_aux"] = clause.auxiliary
    if clause.target.endswith((" best", " most")):
        more["most"] = clause.target.split()[-1]
    kind_of = re.match(r"the ([a-z]+) of ", clause.target)
    if kind_of:
        more["kind_of"] = kind_of[1]
    if clause.lead.lower().startswith("to "):
        more["goal"] = clause.lead[3:].rstrip(",")
    head = fields.get("head", "").lower()
    if head in _ROUTINES:
        more["routine"], more["routine_be"] = _ROUTINES[head]
    if head.startswith(("favourite ", "favorite ")):
        more["favourite"] = head.split(" ", 1)[1]
    post = fields["bare"].removeprefix(fields["noun"]).strip()
    if post and plain(post.split()[0]) in PLACE_PREPOSITIONS:
        more["post"] = post
    words = clause.target.split()
    counts = words[0].lower() in NUMBER_WORDS[1:13] or words[0].isdigit()
    if len(words) > 1 and counts and (words[-1].endswith("s") or words[-1] in ("people", "children")):
        more["counted"] = " ".join(words[1:]) if len(words) <= 4 else ""
        if not more["counted"] or clause.preposition:
            del more["counted"]
    return more
