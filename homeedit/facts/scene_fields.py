"""Words of a scene that only some relations' templates name; the common ones are the scene's own."""

import re

from homeedit.facts.finding import looks_plural
from homeedit.facts.scene import Scene
from homeedit.facts.verbs import past
from homeedit.facts.vocabulary import kinds_of
from homeedit.facts.words import NUMBER_WORDS, PLACE_PREPOSITIONS, plain

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
ROUTINES = {
    "bedtime": ("go to bed", "be in bed"),
    "lunch time": ("have lunch", "have lunch"),
    "dinner time": ("have dinner", "be at the table"),
    "bath time": ("have a bath", "be in the bath"),
    "nap": ("take a nap", "take a nap"),
    "nap time": ("take a nap", "take a nap"),
    "wake-up time": ("wake up", "get up"),
    "curfew": ("have to be home", "be home"),
    "breakfast time": ("have breakfast", "be at breakfast"),
}
"""Hours of a day: what one does then, and what one should have done."""
_SPREAD = frozenset(
    "toast bread sandwich pizza waffle pancake egg steak chip fry burger bagel roll potato popcorn".split()
)
_HE = frozenset("dad daddy papa grandpa grandad grandfather opa uncle brother father son mr nephew".split())
_SHE = frozenset(
    "mum mummy mom mama grandma granny grandmother nana oma aunt auntie sister mother daughter mrs ms niece".split()
)
_INSIDE = {
    "meal": r" for (breakfast|lunch|dinner|supper|dessert)$",
    "each": r" (?:an?|per|each|every) (hour|day|week|month|year|night|visit|lesson)$",
    "a_period": r"(?:times|once|twice) ((?:a|per|each|every) \w+)$",
    "most": r" (best|most)$",
    "kind_of": r"^the ([a-z]+) of ",
}
"""Fields that are a part of the target."""


def more_fields(scene: Scene) -> dict[str, str]:
    """Fields that only some relations' templates name."""
    return _of_verb(scene) | _of_subject(scene) | _of_object(scene) | _of_target(scene)


def _of_verb(scene: Scene) -> dict[str, str]:
    clause, fields = scene.clause, scene.fields
    more = {
        "Does": fields["do"].capitalize(),
        "Be": fields["be"].capitalize(),
        "aux": clause.auxiliary if clause.auxiliary not in ("", "'s") else "is",
        "verb": clause.verb,
        "act": clause.verb,
        "actor": "I" if clause.actor == "i" else clause.actor,
        "was": "were" if fields["be"] == "are" else "was",
        "prep": clause.preposition,
        "until": clause.preposition or "until",
        "Until": (clause.preposition or "until").capitalize(),
        "on": "with" if clause.preposition in ("with", "without") else "for",
    }
    if clause.preposition in ("at", "above", "below"):
        more["At"] = clause.preposition.capitalize()
    if "done" in fields:
        more["past"] = past(clause.lemma)
    if clause.negation == "not" and clause.auxiliary:
        more["plain_aux"] = clause.auxiliary
    if clause.lead.lower().startswith("to "):
        more["goal"] = clause.lead[3:].rstrip(",")
    return more


def _of_subject(scene: Scene) -> dict[str, str]:
    clause, fields = scene.clause, scene.fields
    topic, head = fields["topic"], fields.get("head", "").lower()
    more = {
        "Topic": topic[:1].upper() + topic[1:],
        "it_object": "them" if clause.plural else "it",
        "them_person": "them" if clause.plural or scene.subject_kind != "pet" else "it",
    }
    if "the_owner" in fields:
        more["our_owner"] = "our " + re.sub(r"^(the|our|my) ", "", fields["the_owner"])
    if "owner" in fields:
        last = plain(fields["owner"].split()[0 if fields["owner"][0].isupper() else -1])
        if last in _HE | _SHE and " and " not in fields["owner"]:
            more["their"] = "his" if last in _HE else "her"
    if "modifier" in fields:
        known = kinds_of(fields["modifier"]) or fields["modifier"].islower()
        more["the_modifier"] = f"the {fields['modifier']}" if known else fields["modifier"]
    if head in ROUTINES:
        more["routine"], more["routine_be"] = ROUTINES[head]
    if head.startswith(("favourite ", "favorite ")):
        more["favourite"] = head.split(" ", 1)[1]
    post = fields["bare"].removeprefix(fields["noun"]).strip()
    if post and plain(post.split()[0]) in PLACE_PREPOSITIONS:
        more["post"] = post
    return more


def _of_object(scene: Scene) -> dict[str, str]:
    said = scene.clause.object
    if not said:
        return {}
    return {
        "object_plain": re.sub(r"^(his|her|their|its|my|our) ", "", said),
        "them_object": "them" if looks_plural(said) else "it",
        "thing": re.sub(r"^(a|an|the) ", "", said),
        "on_in": "on" if plain(said.split()[-1]).rstrip("s") in _SPREAD else "in",
    }


def _of_target(scene: Scene) -> dict[str, str]:
    clause, fields = scene.clause, scene.fields
    last = clause.target.lower().split()[-1].strip(".")
    more = {name: found[1] for name, pattern in _INSIDE.items() if (found := re.search(pattern, clause.target))}
    sized = re.fullmatch(r"(shoe|boot|glove|ring|hat|trouser) size", fields.get("labelled", ""))
    if sized:
        more["garment"] = sized[1] + "s"
    if last in _EXTENTS:
        more |= {"dimension": last, "extent": _EXTENTS[last]}
    words = clause.target.split()
    counts = words[0].lower() in NUMBER_WORDS[1:13] or words[0].isdigit()
    countable = words[-1].endswith("s") or words[-1] in ("people", "children")
    if counts and countable and 1 < len(words) <= 4 and not clause.preposition:
        more["counted"] = " ".join(words[1:])
    return more
