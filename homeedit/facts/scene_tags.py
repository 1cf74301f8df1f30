"""What templates can ask about a scene, as tags; see ``phrasings``."""

from homeedit.facts.kinds import subject_kind
from homeedit.facts.other_side import job_of
from homeedit.facts.scene import Scene, names_a_person
from homeedit.facts.scene_fields import ROUTINES
from homeedit.facts.vocabulary import kinds_of
from homeedit.facts.words import plain

INSURERS = ("insure", "insured", "register", "registered", "bank")
"""Verbs that are done with a company."""
_NETWORK = ("wifi", "wi-fi", "wlan", "network", "internet", "router", "hotspot")
_NOT_OPENED = ("wifi", "wi-fi", "netflix", "email", "e-mail", "printer", "account", "spotify", "bank", "card")
_MEDICINES = frozenset(
    "penicillin aspirin ibuprofen paracetamol antibiotic codeine morphine amoxicillin insulin sulfa".split()
)
_DEVICES = frozenset(
    "tablet phone laptop computer ipad console tv television mailbox letterbox suitcase lock padlock safe locker box"
    " gate door garage shed bike cabinet drawer chest diary scooter car".split()
)
_BORROWED = frozenset("book books library dvd dvds film films magazine magazines game games".split())
_UPKEEP = frozenset(
    "change clean service sweep wash paint repair replace check test inspect empty descale mow prune fertilise polish"
    " oil sharpen vacuum dust flip turn fix refill charge treat trim renew flush groom air defrost".split()
)
"""What is done to a thing again and again."""
_COLD = ("fridge", "freezer", "refrigerator", "cooler")


def tags_of(scene: Scene) -> frozenset[str]:
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
    someone = " ".join(target_words).removeprefix("the ")
    modifier = fields.get("modifier", "").lower()
    alarm = modifier.endswith(("alarm", "alarm system"))
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
        "alarm": alarm,
        "device": bool(modifier) and modifier.split()[-1] in _DEVICES,
        "password": head in ("password", "passphrase"),
        "owner_lives": "owner" in fields and names_a_person(fields["owner"]),
        "of_topic": " of " in fields["topic"],
        "ending": clause.lemma in ("end", "finish", "close", "shut", "stop"),
        "borrowed": bool(_BORROWED & set(fields["noun"].lower().split())),
        "upkeep": clause.lemma in _UPKEEP,
        "medicine": any(plain(word).rstrip("s") in _MEDICINES for word in target_words),
        "opens": not alarm and bool({"door", "locked"} & set(kinds_of(fields.get("modifier", ""))))
        or _lockable(fields),
        "network": any(word in _NETWORK for word in fields.get("modifier", "").lower().split()),
        "has_owner": "owner" in fields,
        "numbered": scene.target_kind == "number" and target_words[0] in ("number", "no", "no."),
        "age_target": scene.target_kind == "age",
        "ends": clause.lemma == "end" and clause.preposition in ("in", "with") and not scene.tells_time,
        "named_target": scene.target_kind in ("name", "person") and not live,
        "address_head": head.endswith("address") and scene.target_kind != "email" and "mail" not in head,
        "size_head": "size" in head,
        "favourite_head": head.startswith(("favourite ", "favorite ")),
        "routine_head": head in ROUTINES,
        "has_in": fields["noun"] != fields["bare"] and "owner" not in fields,
        "can_ask": clause.lemma != "allow",
        "a_target": target_words[0] in ("a", "an"),
        "a_name": target_words[0] in ("a", "an") and len(target_words) == 2 and clause.target.split()[1][0].isupper(),
        "ours": clause.determiner == "our",
        "cold": any(word in fields["noun"].lower() for word in _COLD),
        "stored": clause.lemma == "store",
        "people": fields["noun"].split()[-1] != "room" and subject_kind(someone, "the") in ("group", "role"),
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
