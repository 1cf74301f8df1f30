"""One understood sentence with everything a question template can name."""

import re
from dataclasses import dataclass

from homeedit.facts.clause import Clause
from homeedit.facts.clause_target import kind_of_target
from homeedit.facts.finding import looks_plural
from homeedit.facts.kinds import (
    TIME_KINDS,
    SubjectKind,
    TargetKind,
    is_person_name,
    subject_kind,
)
from homeedit.facts.shapes import shape_fields
from homeedit.facts.verbs import gerund, guess_lemma, is_participle, participle
from homeedit.facts.vocabulary import head_kinds, kinds_of
from homeedit.facts.words import DETERMINERS, PLACE_ADVERBS, PLACE_PREPOSITIONS, plain

TIME_QUESTION_PREPOSITIONS = frozenset(
    (
        "",
        "at",
        "on",
        "in",
        "from",
        "by",
        "until",
        "till",
        "since",
        "before",
        "after",
        "around",
        "during",
        "between",
        "for",
    )
)
_CONTRACTED = {
    "do": "don't",
    "does": "doesn't",
    "did": "didn't",
    "can": "can't",
    "should": "shouldn't",
    "will": "won't",
    "could": "couldn't",
    "has": "hasn't",
    "have": "haven't",
}
_OF_PEOPLE = frozenset(
    "live allergic intolerant hate love prefer learn speak study marry married afraid scared".split()
)
_BEHIND_NOUN = re.compile(
    r" (?:in|on|at|from|for|with|to|by|behind|beside|under|near|that|who|which|we|you|I"
    r"|upstairs|downstairs|opposite|next door)\b"
)
"""Where what a thing is ends, and which one it is begins."""
_NEVER_A_TIME = frozenset({"secret", "contact", "identity", "size", "locked"})


@dataclass(frozen=True, slots=True)
class Scene:
    """A clause, what its subject and target are, and the words templates fill in.

    ``fields`` holds only what the sentence has: a template that names a missing field is left out.
    """

    clause: Clause
    target_kind: TargetKind
    subject_kind: SubjectKind
    heads: frozenset[str]
    fields: dict[str, str]

    @property
    def lemma(self) -> str:
        """The meaningful verb, or the adjective after "is"."""
        return self.clause.lemma

    @property
    def identity(self) -> bool:
        """Whether the sentence says "X is Y" (or "X: Y")."""
        clause = self.clause
        return clause.lemma == "be" and not clause.preposition and clause.style in ("statement", "label")

    @property
    def tells_time(self) -> bool:
        """Whether the target answers "when"."""
        if self.clause.preposition in ("before", "after", "during") and self.lemma not in (
            "name",
            "call",
            "look",
            "be",
        ):
            return True
        if self.clause.preposition not in TIME_QUESTION_PREPOSITIONS or self.target_kind not in TIME_KINDS:
            return False
        return not (self.identity and self.heads & _NEVER_A_TIME)

    @property
    def tells_place(self) -> bool:
        """Whether the target answers "where", by its preposition."""
        clause = self.clause
        first = plain(clause.target.split()[0])
        if clause.lemma == "spend" and clause.preposition == "on":
            return False
        if clause.preposition in PLACE_PREPOSITIONS:
            return self.target_kind not in ("temperature", "measure", "number", "money", "phone", "language")
        return not clause.preposition and (first in PLACE_ADVERBS or _begins_with_place(clause))

    @property
    def person_answers(self) -> bool:
        """Whether the target is a person, as far as its words tell."""
        return self.target_kind == "person" or self.clause.target.split()[0].lower() in (
            "mr",
            "mrs",
            "ms",
            "dr",
        )


def _begins_with_place(clause: Clause) -> bool:
    words = clause.target.split()
    return clause.style == "label" and plain(words[0]) in PLACE_PREPOSITIONS and len(words) > 1


def scene_of(clause: Clause) -> Scene:
    """Look closer at a clause: kinds of subject and target, owner and head of the subject, verb forms."""
    kind = kind_of_target(clause)
    determiner = clause.topic.split()[0] if clause.topic.split()[0] in DETERMINERS else ""
    bare = clause.topic.removeprefix(determiner).strip() or clause.topic
    about = subject_kind(bare, determiner)
    if about == "thing" and clause.lemma in _OF_PEOPLE and clause.topic.istitle() and not kinds_of(bare):
        about = "person"  # a name that no list has
    owner, head = _owner_and_head(clause.topic, bare, determiner)
    noun = head or _BEHIND_NOUN.split(bare)[0].strip() or bare
    heads = frozenset(head_kinds(noun))
    if plain(noun.split()[-1]) in ("code", "pin", "password", "passcode", "combination", "passphrase"):
        heads |= {"secret"}
    elif plain(noun.split()[-1]) == "number":
        heads |= {"identity"}
    simple = determiner in ("the", "this", "that") and not owner and noun == bare
    plural = clause.plural or clause.topic.lower() in ("we", "they")
    fields = {
        "topic": clause.topic,
        "subject": clause.subject,
        "bare": bare,
        "our": f"our {bare}" if simple else clause.topic,
        "be": "am" if clause.topic == "i" else "are" if plural else "is",
        "do": "do" if plural or clause.topic.lower() == "i" else "does",
        "have": "have" if plural else "has",
        "it": "they" if plural else "it",
        "them": "them" if plural else "it",
        "its": "their" if plural else "its",
        "noun": noun,
        "lemma": clause.lemma,
    } | shape_fields(clause.target)
    if determiner == "our" and not owner and noun == bare:
        fields["the"] = f"the {bare}"
    if simple and not plural:
        fields["one"] = f"{'an' if bare[0].lower() in 'aeiou' else 'a'} {bare}"
    if noun == bare or owner:
        fields["owned"] = possessive(clause.topic)
    if owner:
        fields |= {"owner": owner, "head": head, "swapped": _swap(clause.topic, owner, head)}
        fields["owners_do"] = "do" if looks_plural(owner) else "does"
        fields["owners_be"] = "are" if looks_plural(owner) else "is"
        fields["owners"] = possessive(owner)
        if subject_kind(owner.removeprefix("our ").removeprefix("the "), "the") == "role":
            fields["the_owner"] = re.sub(r"^our ", "the ", owner)
    if simple and "secret" in heads and len(bare.split()) > 1:
        fields |= {"modifier": bare.rsplit(" ", 1)[0], "head": bare.rsplit(" ", 1)[1]}
    if clause.passive and any(
        is_participle(word) and guess_lemma(word, "participle") == clause.lemma for word in clause.verb.split()
    ):
        fields |= {"done": participle(clause.lemma), "doing": gerund(clause.lemma)}
    elif clause.lemma != "be" and clause.lemma.isalpha():
        fields["doing"] = gerund(clause.lemma)
    if clause.object:
        fields["object"] = clause.object
    return Scene(clause, kind, about, heads, fields)


def possessive(phrase: str) -> str:
    """``the twins`` → ``the twins'``, ``Oma`` → ``Oma's``."""
    return phrase + ("'" if phrase.endswith("s") and looks_plural(phrase) else "'s")


def _owner_and_head(topic: str, bare: str, determiner: str) -> tuple[str, str]:
    """Split "Oma's phone number" and "the bedtime of the twins" into whose and what."""
    match = re.match(r"^(?P<owner>.+?(?:'s|s'))\s(?P<head>.+)$", bare)
    if match and " " not in match["owner"][-2:]:
        if (
            set(kinds_of(bare))
            or re.match(r"(parents|children|butcher|doctor)('s|s')$", match["owner"])
            and not determiner
        ):
            return "", ""
        owner = match["owner"].removesuffix("'s") if match["owner"].endswith("'s") else match["owner"][:-1]
        return f"{determiner} {owner}".strip(), match["head"]
    left, separator, right = bare.partition(" of ")
    if separator and right and len(left.split()) <= 3:
        return right, left
    return "", ""


def _swap(topic: str, owner: str, head: str) -> str:
    if " of " in topic:
        return f"{possessive(owner)} {head}"
    return f"the {head} of {owner}"


def direct(scene: Scene, asking: str, *, strand: bool) -> str:
    """The question in the order of questions: "Where is the blender kept"."""
    clause = scene.clause
    actor = {"you": "I", "one": "I"}.get(clause.actor, clause.actor)
    if clause.actor == "i":
        actor = "I"
    auxiliary, negation = clause.auxiliary, clause.negation
    if auxiliary.startswith("'"):
        auxiliary = "is"
    if negation == "not" and auxiliary in _CONTRACTED:
        auxiliary, negation = _CONTRACTED[auxiliary], ""
    preposition = clause.preposition if strand else ""
    parts = [
        asking,
        auxiliary,
        actor,
        negation,
        clause.verb,
        clause.object,
        preposition,
        _circumstance(clause),
    ]
    return " ".join(part for part in parts if part)


def embedded(scene: Scene, asking: str, *, strand: bool) -> str:
    """The question in the order of statements: "where the blender is kept"."""
    clause = scene.clause
    actor = {"you": "I", "one": "I"}.get(clause.actor, clause.actor)
    preposition = clause.preposition if strand else ""
    if clause.style == "imperative":
        said = " ".join(["should", clause.negation, clause.verb, clause.object])
    elif clause.actor == "i" or actor == "I":
        said = clause.stated
        actor = "I"
    else:
        said = clause.stated
    if clause.negation == "never" and "never" not in said.split():
        said = f"never {said}"
    return " ".join(part for part in (asking, actor, *said.split(), preposition, _circumstance(clause)) if part)


def _circumstance(clause: Clause) -> str:
    if not clause.lead:
        return ""
    return clause.lead[0].lower() + clause.lead[1:].rstrip(",")


def names_a_person(phrase: str) -> bool:
    """Whether a phrase is someone: used for owners ("Emma's shoe size")."""
    return (
        is_person_name(phrase)
        or subject_kind(phrase) in ("person", "group")
        or subject_kind(phrase, "the")
        in (
            "role",
            "group",
        )
    )
