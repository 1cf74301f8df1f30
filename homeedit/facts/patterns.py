"""The ordered table of relations: which sentences are of which kind, and how each kind is asked about.

In a template ``[Where]`` is the direct question with that word ("Where is the torch kept"),
``(where)`` the same in the order of statements ("where the torch is kept"); ``~`` keeps the
preposition at the end ("What is Noah allergic to") and ``*`` stands for the relation's own question
word. Names in braces are fields of the scene.
"""

from collections.abc import Callable
from dataclasses import dataclass

from homeedit.facts import phrasings as being
from homeedit.facts import phrasings_doing as doing
from homeedit.facts import phrasings_places as places
from homeedit.facts import phrasings_times as times
from homeedit.facts.answer import PLACE_VERBS, SHOWING, UNITS
from homeedit.facts.kinds import TIME_KINDS
from homeedit.facts.other_side import does_something, opens_with_code
from homeedit.facts.scene import Scene
from homeedit.facts.verbs import is_base, is_participle
from homeedit.facts.words import ADJECTIVES

Test = Callable[[Scene], bool]


@dataclass(frozen=True, slots=True)
class Relation:
    """A kind of sentence: its name, its question templates (the natural one first) and when a scene is of it.

    All ``tests`` must hold. Without ``indirect`` the general indirect questions are not asked of it.
    """

    name: str
    templates: tuple[str, ...]
    tests: tuple[Test, ...]
    indirect: bool = True


def _relation(name: str, templates: tuple[str, ...], *tests: Test, indirect: bool = True) -> Relation:
    return Relation(name, templates, tests, indirect)


_MOTION = frozenset("go lead travel fly drive move bring take run walk send post ride sail".split())
_RIDING = _MOTION | {"come", "get", "commute", "arrive", "leave"}
_VEHICLES = frozenset("train bus tram ferry flight plane boat bike bicycle car taxi scooter foot underground".split())
_WITHOUT_PLACE = frozenset(
    "measure end depend believe good bad interested specialise pay charge write consist result run come".split()
)
"""Verbs whose "in" or "at" does not say where."""
_NO_PLACES = frozenset("charge sale use cash order time".split())
_EXTENTS = frozenset("long wide high tall deep heavy thick old".split())
_ALLOWING = frozenset("must should can may is are".split())
_SOMEONE = frozenset("man woman girl boy lady person".split())
_NOT_ROLES = frozenset({"secret", "network", "identity", "favourite", "contact"})


def _verb(*lemmas: str) -> Test:
    return lambda scene: scene.lemma in lemmas


def _preposition(*prepositions: str) -> Test:
    return lambda scene: scene.clause.preposition in prepositions


def _target(*kinds: str) -> Test:
    return lambda scene: scene.target_kind in kinds


def _subject(*kinds: str) -> Test:
    return lambda scene: scene.subject_kind in kinds


def _style(*styles: str) -> Test:
    return lambda scene: scene.clause.style in styles


def _not(test: Test) -> Test:
    return lambda scene: not test(scene)


def _identity(scene: Scene) -> bool:
    return scene.identity


def _person(scene: Scene) -> bool:
    return scene.person_answers


def _timed(scene: Scene) -> bool:
    return scene.tells_time


def _passive(scene: Scene) -> bool:
    return scene.clause.passive


def _with_object(scene: Scene) -> bool:
    return bool(scene.clause.object)


def _secret(scene: Scene) -> bool:
    return "secret" in scene.heads


def _place(scene: Scene) -> bool:
    if not scene.tells_place or scene.lemma in _WITHOUT_PLACE:
        return False
    return scene.clause.preposition not in ("in", "on") or scene.clause.target.lower() not in _NO_PLACES


def _kept(scene: Scene) -> bool:
    return scene.lemma in PLACE_VERBS or scene.lemma == "be"


def _called(scene: Scene) -> bool:
    return scene.lemma in ("call", "name", "nickname", "title") and scene.clause.style != "imperative"


def _is_a_name(scene: Scene) -> bool:
    return scene.identity and scene.fields.get("head", scene.fields["bare"]) == "name"


def _is_a_role(scene: Scene) -> bool:
    target = scene.clause.target
    if scene.subject_kind in ("role", "group") and scene.target_kind in ("person", "name", "text", "colour"):
        named = scene.target_kind != "text" or target.removeprefix("the ")[0].isupper()
        return named and target.split()[0].lower() not in ("a", "an")
    if scene.subject_kind == "pet" and scene.target_kind in ("person", "name"):
        return True
    if scene.fields["noun"].split()[-1] in _SOMEONE and scene.target_kind in ("person", "name"):
        return True
    return scene.person_answers and not scene.heads & _NOT_ROLES


def _forbids(scene: Scene) -> bool:
    clause = scene.clause
    allowing = clause.auxiliary in _ALLOWING or clause.style == "agent"
    return bool(clause.negation) and allowing and clause.lemma != "be" and not _timed(scene)


def _sets(scene: Scene) -> bool:
    clause = scene.clause
    if clause.negation or _timed(scene):
        return False
    if scene.lemma == "set":
        return clause.preposition in ("to", "at", "on")
    number = scene.target_kind in ("temperature", "measure", "number")
    return scene.lemma == "be" and clause.auxiliary in ("should", "must", "can") and number


def _shaped(field: str) -> Test:
    return lambda scene: field in scene.fields


def _counts_a_day(scene: Scene) -> bool:
    """Whether the target is so much, or so many, in a time: "180 grams of food a day"; times are a frequency."""
    if scene.target_kind == "frequency":
        return False
    return "amount" in scene.fields or "counted" in scene.fields and bool(scene.fields["period"])


def _lends_to_us(scene: Scene) -> bool:
    return scene.clause.passive or scene.clause.style == "agent"


def _rides(scene: Scene) -> bool:
    return scene.lemma in _RIDING and scene.clause.target.lower().split()[-1] in _VEHICLES


def _extends(scene: Scene) -> bool:
    target = scene.clause.target
    measured = scene.target_kind == "age" or any(character.isdigit() for character in target)
    return scene.identity and measured and target.lower().split()[-1] in _EXTENTS


def _dislikes(scene: Scene) -> bool:
    if scene.lemma in ("hate", "dislike", "detest", "avoid"):
        return True
    return scene.lemma in ("like", "eat", "drink", "love") and bool(scene.clause.negation)


def _colour(scene: Scene) -> bool:
    return scene.target_kind == "colour" and "colo" not in scene.fields["noun"] and "favourite" not in scene.heads


def _has_allergy(scene: Scene) -> bool:
    return scene.lemma == "have" and scene.clause.object.split()[-1:] in (["allergy"], ["intolerance"])


def _state(scene: Scene) -> bool:
    target = scene.clause.target
    return " " not in target and target.islower() and (is_participle(target) or target in ADJECTIVES)


def _in_a_unit(scene: Scene) -> bool:
    return scene.clause.target.lower().split()[-1] in UNITS


def _infinitive(scene: Scene) -> bool:
    return is_base(scene.clause.target.split()[0])


def _howto(scene: Scene) -> bool:
    return scene.clause.style == "imperative" and scene.clause.lead.lower().startswith("to ")


def _about_circumstance(scene: Scene) -> bool:
    """Whether the subject stands only in the words before the clause: "On Mondays we eat soup"."""
    clause = scene.clause
    if not clause.lead or clause.lead.lower().startswith("to "):
        return False
    return clause.subject.lower() not in f"{clause.actor} {clause.object}".lower()


def _of_all(scene: Scene) -> bool:
    """Whether the sentence says what nobody or everybody does, or where we are: there is no thing to ask for."""
    if scene.clause.subject.lower() in ("we", "i") and _place(scene) and not _timed(scene):
        return True
    return scene.clause.style == "statement" and scene.fields["topic"] in ("nobody", "everyone", "everybody", "someone")


def _spoken_of(scene: Scene) -> bool:
    return scene.clause.style in ("agent", "imperative") or bool(scene.clause.lead)


_TASTES = ("like", "love", "prefer", "drink", "eat", "enjoy")
_TALENTS = ("learn", "play", "speak", "study", "practise", "practice")
_LENDING = ("borrow", "lend", "rent", "hire", "lease")
_PEOPLE = ("person", "role", "group")

RELATIONS: tuple[Relation, ...] = (
    _relation("asked", being.ASKED_ONLY, _about_circumstance, _not(_person)),
    _relation("asked", being.ASKED_OF_ALL, _of_all),
    _relation("purpose", being.PURPOSE, _style("imperative", "agent"), _preposition("to"), _infinitive),
    _relation("purpose", being.PURPOSE, _style("imperative"), _preposition("for")),
    _relation("purpose", being.PURPOSE, _verb("be"), _preposition("for"), _not(_target("duration"))),
    _relation("howto", doing.HOW, _howto),
    _relation("call", ("[Who]?",), _style("imperative"), _not(_with_object), _person),
    _relation("name", being.NAME, _called, _preposition("")),
    _relation("phone_of", being.PHONE_OF, _identity, _target("phone", "email"), _subject(*_PEOPLE)),
    _relation("name_of", being.NAME_OF, _is_a_name),
    _relation("allergy", doing.ALLERGY, _verb("allergic", "intolerant"), _preposition("to", "of", "against")),
    _relation("allergy", doing.ALLERGY, _has_allergy, _preposition("to")),
    _relation("rescheduled", times.RESCHEDULED, _target(*TIME_KINDS), _preposition("to")),
    _relation("offset", doing.OFFSET, _shaped("off"), _preposition("")),
    _relation("chore", doing.CHORE, _identity, _shaped("duty"), indirect=False),
    _relation("whose", being.WHOSE, _identity, _shaped("owner_alone")),
    _relation("price", being.PRICE, _target("money"), _verb("cost", "be", "charge", "get", "earn")),
    _relation("amount", doing.AMOUNT, _counts_a_day, _preposition(""), _not(_verb("be")), indirect=False),
    _relation("dimension", being.DIMENSION, _extends),
    _relation("frequency", times.FREQUENCY, _target("frequency"), _preposition("")),
    _relation("deadline", times.DEADLINE, _timed, _preposition("until", "till", "by", "since")),
    _relation("time", times.TIME, _timed),
    _relation("duration", times.DURATION, _target("duration"), _preposition("for")),
    _relation("duration", times.DURATION, _target("duration"), _preposition(""), _verb("be", "take", "last", "need")),
    _relation("code", being.CODE, _identity, _secret),
    _relation("role", being.ROLE, _identity, _is_a_role),
    _relation("colour", being.COLOUR, _identity, _colour),
    _relation("colour", being.COLOUR, _verb("paint", "dye"), _colour, _preposition("")),
    _relation("state", being.STATE, _identity, _state),
    _relation("identity", being.IDENTITY, _identity, _not(_place)),
    _relation("live", places.LIVE, _verb("live"), _place, _subject(*_PEOPLE)),
    _relation("work", places.WORK, _verb("work"), _preposition("at", "in", "for")),
    _relation("work", places.WORK, _verb("work"), _preposition("with"), _subject(*_PEOPLE)),
    _relation("borrowed", doing.BORROWED, _verb(*_LENDING), _preposition("from", "by", "to"), _lends_to_us),
    _relation("done_by", doing.DONE_BY, _passive, _preposition("by")),
    _relation("generic", doing.OPENING_CODE, opens_with_code),
    _relation("rated", doing.RATED, _shaped("rated"), _preposition("", "on", "with"), _not(_identity)),
    _relation("belongs", being.BELONGS, _verb("belong"), _preposition("to")),
    _relation("preference", doing.PREFERENCE, _verb(*_TASTES, "take", "want"), _with_object),
    _relation("forbidden", doing.FORBIDDEN, _forbids),
    _relation("setting", doing.SETTING, _sets),
    _relation("dislike", doing.DISLIKE, _dislikes),
    _relation("taste", doing.TASTE, _verb(*_TASTES), _preposition("")),
    _relation("learn", doing.LEARN, _verb(*_TALENTS), _preposition("")),
    _relation("doing", doing.DOING, does_something),
    _relation("unit", doing.UNIT, _verb("measure", "weigh"), _preposition("in"), _subject("thing", "place")),
    _relation("unit", doing.UNIT, _verb(*SHOWING), _preposition("in"), _subject("thing"), _in_a_unit),
    _relation("reach", ("[How]?", *being.PHONE_OF), _verb("reach"), _target("phone", "number", "email")),
    _relation("chip", being.CHIP, _verb("have"), _preposition("with"), indirect=False),
    _relation("vehicle", doing.VEHICLE, _rides, _preposition("by", "on")),
    _relation("weight", ("[How much]?",), _verb("weigh", "cost"), _preposition("")),
    _relation("hold", doing.HOLD, _verb("hold", "fit", "sleep"), _preposition("")),
    _relation("heat", doing.HEAT, _target("temperature"), _preposition("at", "above", "below"), _not(_verb("be"))),
    _relation("place", places.PLACE, _place, _kept),
    _relation("where", places.WHERE, _place),
    _relation("contents", places.CONTENTS, _verb("contain", "hide"), _preposition("")),
    _relation("meaning", being.MEANING, _verb("mean"), _preposition("")),
    _relation("origin", places.ORIGIN, _preposition("from"), _not(_person)),
    _relation("towards", places.MOVED, _verb(*sorted(_MOTION)), _preposition("to"), _not(_person)),
    _relation("asked", being.ASKED_ONLY, _spoken_of),
    _relation("generic", being.GENERIC_WHAT),
)


def relation_of(scene: Scene) -> Relation:
    """The first relation of the table all of whose tests hold; the last one holds for every scene."""
    return next(relation for relation in RELATIONS if all(test(scene) for test in relation.tests))
