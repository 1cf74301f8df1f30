"""Reads a sentence: finds what it is about, its verb, and (unless told) where the answer begins."""

import re
from dataclasses import replace

from homeedit.facts import verbs
from homeedit.facts.answer import find_answer
from homeedit.facts.clause import Clause, Style, VerbPhrase, read_verb_phrase, skip_adverbs
from homeedit.facts.clause_target import kind_of_target
from homeedit.facts.finding import find_verb, guess_verb, has_head, looks_plural
from homeedit.facts.kinds import TIME_KINDS, is_person_name
from homeedit.facts.topics import topic_of
from homeedit.facts.turning import turned
from homeedit.facts.words import (
    ADJECTIVES,
    ADVERBS,
    DAY_PARTS,
    DAYS,
    DETERMINERS,
    MONTHS,
    NEGATIONS,
    PARTICLES,
    PLACE_PREPOSITIONS,
    PREPOSITIONS,
    PRONOUN_ACTORS,
    SEASONS,
    plain,
    split_preposition,
)

_LABEL = re.compile(r"^(?P<label>[^:=]{2,80}?)\s?(?P<mark>:|=|–|—|(?<= )-)\s(?P<rest>.+)$")


def read(words: list[str], *, target_at: int | None = None, turn: bool = True) -> Clause | None:
    """Understand a sentence given as words; ``target_at`` fixes where the target begins.

    Unless told, a sentence whose news comes first is turned: see ``turning``.
    """
    if len(words) < 2 and target_at is None:
        return None
    if target_at is None and turn:
        words = turned(words) or words
    for attempt in (_read_label, _read_there, _read_lead, _read_imperative, _read_agent, _read_statement):
        clause = attempt(words, target_at)
        if clause:
            return clause
    return None


def _read_label(words: list[str], target_at: int | None, offset: int = 0) -> Clause | None:
    match = _LABEL.match(" ".join(words))
    if not match or find_verb(match["label"].split()) is not None or len(match["label"].split()) > 8:
        return None
    if plain(words[0]) in ("to", "if", "when") or match["mark"] == "-" and not match["label"].strip():
        return None
    at = target_at or len(words) - len(match["rest"].split())
    subject_words = match["label"].split()
    if not has_head(subject_words) or at <= 0:
        return None
    return _build("label", words, 0, len(subject_words), None, at, at)


def _read_there(words: list[str], target_at: int | None) -> Clause | None:
    if plain(words[0]) == "there's":
        clause = _read_there(["There", "is", *words[1:]], None if target_at is None else target_at + 1)
        return clause and replace(clause, prompt=f"{words[0]} {clause.prompt.partition(' is ')[2]}")
    if plain(words[0]) != "there" or len(words) < 4 or plain(words[1]) not in verbs.BE:
        return None
    begin, _ = skip_adverbs(words, 2)
    for position in range(begin + 1, len(words) - 1):
        length = split_preposition(words, position)
        if length and plain(words[position]) not in ("of", "for", "with", "to") and has_head(words[begin:position]):
            if position + length >= len(words):
                return None
            phrase = VerbPhrase(plain(words[1]), plain(words[1]), "", "", "be", False, 1, position)
            at = target_at if target_at is not None else position + length
            if at <= position:
                return None
            return _build("there", words, begin, position, phrase, position if at == position + length else at, at)
    return None


def _read_lead(words: list[str], target_at: int | None) -> Clause | None:
    """Sentences that begin with a circumstance: "In winter …", "On Mondays …", "To open the gate, …"."""
    first = plain(words[0])
    comma = next((index for index, word in enumerate(words[:-2]) if word.endswith(",")), None)
    infinitive = first == "to" and len(words) > 3 and verbs.is_base(plain(words[1]))
    opens = first in PREPOSITIONS | {"if", "when", "whenever", "once", "every", "each"}
    if not (infinitive or opens):
        return None
    if comma is not None:
        end = comma + 1
    elif infinitive:
        return None
    else:
        second = plain(words[1]) if len(words) > 1 else ""
        skip = 3 if second in DETERMINERS | {"other"} else 2
        token = plain(words[skip - 1]).removesuffix("s") if len(words) > skip else ""
        known = (
            token in DAYS
            or token in MONTHS
            or token in DAY_PARTS
            or token in SEASONS
            or token in ("weekend", "weekday", "day")
        )
        if not known and not (len(words) > skip and plain(words[skip]) in DETERMINERS | PRONOUN_ACTORS):
            return None
        end = skip
    rest = words[end:]
    inner_at = None if target_at is None else target_at - end
    if len(rest) < 2 or (inner_at is not None and inner_at <= 0):
        return None
    circumstance = infinitive or first in ("if", "when", "whenever")
    for attempt in (_read_imperative, _read_agent, _read_statement):
        if attempt is _read_imperative and circumstance:
            inner = _read_imperative(rest, inner_at, spread=False)
        else:
            inner = attempt(rest, inner_at)
        if inner and inner_at is None and inner.preposition == "for" and inner.target in _MEALS and inner.object:
            # "On Sundays we have pancakes for breakfast": the pancakes are the news.
            news = len(rest) - len(f"{inner.object} for {inner.target}".split())
            inner = attempt(rest, news)
        if inner:
            return _with_lead(words, end, inner)
    return None


def _with_lead(words: list[str], end: int, inner: Clause) -> Clause | None:
    """Put the circumstance back before the clause; it may name what the sentence is about."""
    lead = " ".join(words[:end])
    subject, topic = inner.subject, inner.topic
    conditional = plain(words[0]) in ("to", "if", "when", "whenever")
    if plain(inner.subject) in PRONOUN_ACTORS or (inner.style == "imperative" and conditional):
        subject = _subject_of_circumstance(words, end)
        topic = topic_of("", subject, first=False) if subject else ""
    if not subject:
        return None
    return replace(inner, lead=lead, subject=subject, topic=topic, prompt=f"{lead} {inner.prompt}".strip())


def _subject_of_circumstance(words: list[str], end: int) -> str:
    """The noun in "To reset the boiler, …", "If the alarm rings, …" or "On Mondays …"."""
    begin, stop = (2 if plain(words[0]) == "to" else 1), end
    if plain(words[0]) in ("if", "when", "whenever"):
        verb = find_verb(words[begin:end])
        stop = begin + verb if verb else end
    topic_words = words[begin:stop]
    small = DETERMINERS | verbs.DO | {"off", "on", "up", "down", "out"}
    while len(topic_words) > 1 and plain(topic_words[0]) in small:
        topic_words = topic_words[1:]
    for index in range(1, len(topic_words)):
        if plain(topic_words[index]) in PREPOSITIONS - {"of"}:
            topic_words = topic_words[:index]
            break
    return " ".join(topic_words).strip(",")


_MEALS = frozenset("breakfast lunch dinner supper dessert".split())


def _is_a_thing(clause: Clause) -> bool:
    """Whether the object is a thing with a place: "the key", not "early", not "the door locked"."""
    words = clause.object.split()
    last = plain(words[-1]) if words else ""
    bare = last in ADJECTIVES | PARTICLES or verbs.is_participle(last) or split_preposition(words, len(words) - 1) > 0
    named = len(words) > 1 and plain(words[0]) in DETERMINERS
    return named and not bare and kind_of_target(clause) not in TIME_KINDS | {"duration", "frequency"}


_SIMPLE = frozenset({"do", "does", "did"})
_PLACING = frozenset("hide put leave keep store place stow park hang".split())
_THEIRS = frozenset({"his", "her", "their"})
_OPENERS = frozenset({"please", "always", "never", "do", "don't", "not", "remember"})
_AWAY = frozenset({"off", "on", "out", "up", "down", "away"})


def _read_imperative(words: list[str], target_at: int | None, spread: bool = True) -> Clause | None:
    at = 0
    negation = ""
    while at < len(words) - 1 and (plain(words[at]) in _OPENERS or (at and plain(words[at]) == "to")):
        if plain(words[at]) in ("never", "don't", "not"):
            negation = "never" if plain(words[at]) == "never" else "not"
        at += 1
    verb = plain(words[at])
    following = plain(words[at + 1]) if at + 1 < len(words) else ""
    if not verbs.lemma_of(verb, "base") or find_verb(words, at) is not None and not negation:
        return None
    named = words[at + 1 : at + 2] and (words[at + 1][0].isupper() or words[at + 1][0].isdigit())
    if following not in DETERMINERS | _AWAY | {"it", "them"} and not named and not at:
        return None
    begin = at + 2 if following in _AWAY else at + 1
    phrase = VerbPhrase("", "should", negation, " ".join([verb, *words[at + 1 : begin]]), verb, False, at, begin)
    return _object_clause("imperative", words, phrase, target_at, "I", spread)


def _read_agent(words: list[str], target_at: int | None) -> Clause | None:
    actor = plain(words[0])
    if actor not in PRONOUN_ACTORS:
        return _read_placing(words, target_at)
    if len(words) < 3:
        return None
    start, negation = skip_adverbs(words, 1)
    phrase = read_verb_phrase(words, start, plural=actor != "one" and not actor.startswith("every"), actor=actor)
    if phrase.finite in verbs.BE or not (
        phrase.auxiliary in verbs.MODALS or verbs.lemma_of(phrase.finite, "base") or phrase.auxiliary in ("do", "did")
    ):
        return None
    if negation:
        phrase = replace(phrase, negation=negation)
    clause = _object_clause("agent", words, phrase, target_at, "I" if actor == "i" else actor)
    habit = {"always", "usually", "normally", "never", "every"} & {plain(word) for word in words}
    if clause and actor == "i" and clause.lemma == "put" and clause.auxiliary == "do" and not habit:
        if clause.preposition in PLACE_PREPOSITIONS and _is_a_thing(clause):
            return replace(clause, auxiliary="did")  # "I put the receipts in the box": where they are, not a habit
    return clause


def _read_placing(words: list[str], target_at: int | None) -> Clause | None:
    """ "Grandpa hid the key under the frog" is about the key, not about Grandpa."""
    verb = find_verb(words)
    actor = " ".join(words[:verb])
    if not verb or verb > 3 or not is_person_name(actor) or {plain(word) for word in words[:verb]} & NEGATIONS:
        return None
    phrase = read_verb_phrase(words, verb, plural=looks_plural(actor))
    if phrase.lemma not in _PLACING or phrase.passive or phrase.negation or phrase.auxiliary not in _SIMPLE:
        return None
    if phrase.lemma == "put" and phrase.auxiliary != "did":
        return None  # "Dad puts milk in his tea" is about Dad
    clause = _object_clause("agent", words, phrase, target_at, actor)
    if clause is None or clause.preposition not in PLACE_PREPOSITIONS - {"by"} or not _is_a_thing(clause):
        return None
    return replace(clause, topic=f"{actor}'s {clause.subject}") if clause.determiner in _THEIRS else clause


def _object_clause(
    style: Style, words: list[str], phrase: VerbPhrase, target_at: int | None, actor: str, spread: bool = True
) -> Clause | None:
    """A sentence about its object: the object, without what stands behind it, is the subject."""
    direct = split_preposition(words, phrase.end)
    found = find_answer(words, phrase, spread=spread and not direct)
    if style == "imperative" and found is None and target_at is None:
        purpose = next((i for i in range(phrase.end + 1, len(words) - 1) if plain(words[i]) == "to"), None)
        found = (purpose, purpose + 1) if purpose else None
    if target_at is not None:
        found = (target_at, target_at) if not found or found[1] != target_at else found
    if not found:
        found = (phrase.end, phrase.end)
    begin, at = phrase.end, found[0]
    stop = next((i for i in range(begin + 1, at) if plain(words[i]) in PREPOSITIONS - {"of"}), at)
    if begin >= at:
        begin, stop = 0, 1
    clause = _build(style, words, begin, stop, phrase, found[0], found[1])
    if not clause:
        return None
    return replace(clause, actor=actor, object=" ".join(words[phrase.end : found[0]]))


def _read_statement(words: list[str], target_at: int | None) -> Clause | None:
    limited = words if target_at is None else words[:target_at]
    verb = find_verb(limited if target_at is not None and find_verb(limited) is not None else words)
    if verb is None:
        verb = guess_verb(words)
    if verb is None or (target_at is not None and verb >= target_at):
        return _read_short_form(words, target_at)
    stop = verb
    while stop > 1 and _is_adverb(words, stop - 1):
        stop -= 1
    subject = " ".join(words[:stop])
    phrase = read_verb_phrase(words, verb, plural=looks_plural(subject))
    begin = 1 if _denies(words[:stop], phrase) else 0
    if begin:
        phrase = replace(phrase, negation="not")
    never = next((plain(word) for word in words[stop:verb] if plain(word) in NEGATIONS), "")
    if never:
        phrase = replace(phrase, negation=never)
    found = find_answer(words, phrase)
    if target_at is not None:
        length = found[1] - found[0] if found and found[1] == target_at else 0
        found = (target_at - (length or _preposition_before(words, phrase.end, target_at)), target_at)
    if found is None:
        return None
    clause = _build("statement", words, begin, stop, phrase, *found)
    if clause and begin and (clause.preposition == "by" or kind_of_target(clause) in TIME_KINDS):
        return _build("statement", words, 0, stop, replace(phrase, negation=never), *found)
    if clause and begin:
        finite, _, rest = clause.stated.partition(" ")
        return replace(clause, topic=clause.subject, actor=clause.subject, stated=f"{finite} not {rest}".strip())
    return clause


def _denies(subject: list[str], phrase: VerbPhrase) -> bool:
    """ "No shoes are allowed …": shoes are not. What may not be is said of many, with "allowed" or a modal verb."""
    if len(subject) < 2 or plain(subject[0]) != "no" or plain(subject[1]) in ("one", "more", "fewer", "less", "other"):
        return False
    may = phrase.lemma in ("allow", "permit") or phrase.auxiliary in verbs.MODALS and phrase.lemma != "be"
    return may and looks_plural(" ".join(subject[1:]))


def _is_adverb(words: list[str], at: int) -> bool:
    """Whether the word before the verb belongs to it; "right" in "the neighbour on the right" does not."""
    return plain(words[at]) in ADVERBS | NEGATIONS | {"n't"} and plain(words[at - 1]) not in DETERMINERS


def _preposition_before(words: list[str], start: int, target_at: int) -> int:
    """How many words right before the target are its preposition."""
    for length in (4, 3, 2, 1):
        begin = target_at - length
        if begin >= start and split_preposition(words, begin) == length:
            return length
    return 0


def _read_short_form(words: list[str], target_at: int | None) -> Clause | None:
    """ "The key's in the bowl": the verb hides in the subject's last word."""
    for position, word in enumerate(words[:-1]):
        if word.lower().endswith("'s") and split_preposition(words, position + 1) and has_head(words[: position + 1]):
            length = split_preposition(words, position + 1)
            at = position + 1 + length
            if at >= len(words) or (target_at is not None and target_at != at):
                return None
            spelled = [*words[:position], word[:-2], *words[position + 1 :]]
            phrase = VerbPhrase("is", "is", "", "", "be", False, position + 1, position + 1)
            clause = _build("statement", spelled, 0, position + 1, phrase, position + 1, at)
            return clause and replace(clause, prompt=" ".join(words[:at]))
    return None


def _build(
    style: Style,
    words: list[str],
    begin: int,
    end: int,
    phrase: VerbPhrase | None,
    preposition_at: int,
    at: int,
) -> Clause | None:
    """Put a clause together; the subject is ``words[begin:end]`` without its determiner."""
    noun = words[begin:end]
    determiner = ""
    if len(noun) > 1 and plain(noun[0]) in DETERMINERS:
        determiner, noun = plain(noun[0]), noun[1:]
    if len(noun) > 1 and plain(noun[0]) in POSSESSIVE_ALL and determiner in ("all", "both"):
        noun = noun[1:]
    written = " ".join(noun).rstrip(",:;=–—- ")
    subject = written.split(",")[0] if "," in written and style == "statement" else written
    target = " ".join(words[at:])
    if all(plain(word) in PREPOSITIONS | DETERMINERS | verbs.BE for word in words[at:]):
        return None
    if not subject or not target or not any(character.isalnum() for character in subject):
        return None
    if not any(character.isalnum() or ord(character) > 0x2000 for character in target):
        return None
    named = phrase is not None and phrase.lemma in _PERSON_VERBS and not determiner and len(noun) == 1
    if named and subject[0].isupper() and not looks_plural(subject):
        topic = subject
    else:
        topic = topic_of(determiner, subject, first=begin == 0)
    if noun and plain(noun[0]) == "no":
        topic = f"no {subject[3:]}"
    plural = looks_plural(subject) or bool(phrase and phrase.finite in ("are", "were"))
    stated = " ".join(words[phrase.start : preposition_at]) if phrase and style != "there" else ""
    said = " ".join(words[phrase.end : preposition_at]) if phrase and style not in ("there",) else ""
    default = "are" if plural else "is"
    return Clause(
        style=style,
        lead="",
        determiner=determiner,
        subject=subject,
        topic=topic,
        actor=topic,
        finite=phrase.finite if phrase else default,
        auxiliary=phrase.auxiliary if phrase else default,
        negation=phrase.negation if phrase else "",
        verb=phrase.words if phrase else "",
        lemma=phrase.lemma if phrase else "be",
        passive=bool(phrase and phrase.passive),
        stated=stated or default,
        object=said,
        preposition=" ".join(plain(word) for word in words[preposition_at:at]),
        prompt=" ".join(words[:at]),
        target=target,
        plural=plural,
    )


_PERSON_VERBS = frozenset(
    "allergic intolerant live like love hate prefer work bear learn speak study marry married"
    " afraid scared want drink play teach".split()
)
POSSESSIVE_ALL = frozenset({"the", "my", "our", "your", "their", "his", "her", "of"})
