"""The gate lets through what is good, says in words what is not, and can be overruled."""

import pytest

from homeedit.verify.gate import Limits, judge
from homeedit.verify.locality import Locality
from homeedit.verify.recall import Recall

GOOD = Locality(kl=0.02, kept=19, asked=20)


def recall(number: int, right: bool) -> Recall:
    return Recall(f"f{number}", f"Sentence {number}.", (), right, float(right))


def test_a_good_build_is_activated() -> None:
    verdict = judge(GOOD, [recall(1, True), recall(2, True)], {"f1"})
    assert (verdict.activate, verdict.reasons, verdict.lost) == (True, (), ())


def test_new_facts_that_fail_do_not_stop_a_build() -> None:
    assert judge(GOOD, [recall(1, True), recall(2, False)], {"f1"}).activate


@pytest.mark.parametrize(
    ("locality", "words"),
    [
        (Locality(0.11, 20, 20), "0.110 nats per token"),
        (Locality(float("nan"), 20, 20), "nan nats per token"),
        (Locality(0.01, 11, 20), "Of 20 general questions that the base answers rightly and firmly, 11 are"),
    ],
)
def test_changed_answers_stop_a_build(locality: Locality, words: str) -> None:
    verdict = judge(locality, [], set())
    assert not verdict.activate
    [reason] = verdict.reasons
    assert words in reason


def test_the_limits_themselves_are_allowed() -> None:
    assert judge(Locality(0.10, 16, 20), [], set()).activate
    assert judge(Locality(0.30, 10, 20), [], set(), Limits(kl=0.3, kept_share=0.5)).activate
    assert not judge(GOOD, [], set(), Limits(kl=0.01)).activate
    assert judge(Locality(0.0, 0, 0), [], set()).activate


@pytest.mark.parametrize(("kept", "asked", "activated"), [(0, 1, True), (2, 3, True), (1, 3, False), (10, 13, False)])
def test_one_of_a_few_firm_answers_may_be_lost(kept: int, asked: int, activated: bool) -> None:
    assert judge(Locality(0.01, kept, asked), [], set()).activate is activated


def test_losing_live_facts_stops_a_build() -> None:
    verdict = judge(GOOD, [recall(1, False), recall(2, True), recall(3, False)], {"f1", "f2"})
    assert (verdict.activate, verdict.lost) == (False, ("f1",))
    assert verdict.reasons == ("A fact that was live is no longer recalled: Sentence 1.",)
    many = judge(GOOD, [recall(number, False) for number in range(5)], {f"f{number}" for number in range(5)})
    assert "5 facts that were live are no longer recalled" in many.reasons[0]
    assert many.reasons[0].endswith("…")


def test_facts_taken_out_on_purpose_are_not_lost() -> None:
    assert judge(GOOD, [recall(1, True)], {"f1", "f9"}).activate


def test_force_activates_and_keeps_the_reasons() -> None:
    verdict = judge(Locality(2.0, 0, 20), [recall(1, False)], {"f1"}, force=True)
    assert verdict.activate
    assert len(verdict.reasons) == 3
    assert verdict.lost == ("f1",)
