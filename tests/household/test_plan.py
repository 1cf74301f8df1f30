"""What a compile decides to link and to compile."""

from homeedit.facts.fact import Fact
from homeedit.household.plan import Plan, make_plan, orphans


def fact(number: int, patch: str | None = None, *, enabled: bool = True) -> Fact:
    return Fact(
        id=f"f{number}",
        sentence=f"Sentence {number}.",
        subject="s",
        prompt="p",
        target="t",
        questions=(),
        relation="place",
        enabled=enabled,
        state="draft",
        patch=patch,
        revision=1,
        created="",
        changed="",
    )


def compiled(plan: Plan) -> list[tuple[str, ...]]:
    return [tuple(each.id for each in group.facts) for group in plan.groups]


def test_no_facts_make_an_empty_plan() -> None:
    assert make_plan([], {}) == Plan((), ())
    assert make_plan([], {}, consolidate=True) == Plan((), ())


def test_new_facts_are_compiled_together_on_top_of_what_is_there() -> None:
    plan = make_plan([fact(1, "pa"), fact(2), fact(3), fact(4, enabled=False)], {"pa": 1})
    assert plan.linked == ("pa",)
    assert compiled(plan) == [("f2", "f3")]
    assert plan.work == 2


def test_a_patch_is_linked_only_with_all_its_facts_enabled() -> None:
    facts = [fact(1, "pa"), fact(2, "pa", enabled=False), fact(3, "pb")]
    plan = make_plan(facts, {"pa": 2, "pb": 1})
    assert plan.linked == ("pb",)
    assert compiled(plan) == [("f1",)]
    assert plan.groups[0].replaces == ("pa",)
    assert "pa" in plan.groups[0].reason


def test_a_patch_that_lost_a_fact_by_edit_or_removal_is_compiled_again() -> None:
    plan = make_plan([fact(1, "pa"), fact(2)], {"pa": 2})
    assert plan.linked == ()
    assert compiled(plan) == [("f1",), ("f2",)]


def test_a_patch_with_all_facts_disabled_rests_and_links_again_when_enabled() -> None:
    off = [fact(1, "pa", enabled=False), fact(2, "pa", enabled=False)]
    assert make_plan(off, {"pa": 2}) == Plan((), ())
    on = [fact(1, "pa"), fact(2, "pa")]
    assert make_plan(on, {"pa": 2}) == Plan(("pa",), ())


def test_a_patch_that_cannot_be_used_counts_as_none() -> None:
    plan = make_plan([fact(1, "gone"), fact(2)], {})
    assert compiled(plan) == [("f1", "f2")]


def test_links_keep_the_order_of_age() -> None:
    plan = make_plan([fact(1, "pb"), fact(2, "pa")], {"pb": 1, "pa": 1})
    assert plan.linked == ("pb", "pa")


def test_consolidation_takes_everything_enabled_into_one_patch() -> None:
    facts = [fact(1, "pa"), fact(2, "pb", enabled=False), fact(3)]
    plan = make_plan(facts, {"pa": 1, "pb": 1}, consolidate=True)
    assert plan.linked == ()
    assert compiled(plan) == [("f1", "f3")]
    assert plan.groups[0].replaces == ("pa",)


def test_without_drafts_only_what_was_compiled_before_is_compiled() -> None:
    facts = [fact(1, "pa"), fact(2, "pa", enabled=False), fact(3), fact(4, "gone")]
    plan = make_plan(facts, {"pa": 2}, drafts=False)
    assert compiled(plan) == [("f1",), ("f4",)]


def test_a_consolidation_without_drafts_leaves_them_alone() -> None:
    facts = [fact(1, "pa"), fact(2), fact(3, "gone")]
    plan = make_plan(facts, {"pa": 1}, consolidate=True, drafts=False)
    assert compiled(plan) == [("f1", "f3")]
    assert make_plan([fact(1)], {}, consolidate=True, drafts=False) == Plan((), ())


def test_facts_to_be_tried_again_are_compiled_last_with_more_effort() -> None:
    facts = [fact(1, "pa"), fact(2, "pa"), fact(3, "pb"), fact(4)]
    plan = make_plan(facts, {"pa": 2, "pb": 1}, retry={"f2"})
    assert plan.linked == ("pb",)
    assert compiled(plan) == [("f1",), ("f4",), ("f2",)]
    assert [(group.harder, group.replaces) for group in plan.groups] == [
        (False, ("pa",)),
        (False, ()),
        (True, ("pa",)),
    ]
    alone = make_plan(facts, {"pa": 2, "pb": 1}, retry={"f3"}, drafts=False)
    assert (alone.linked, compiled(alone)) == (("pa",), [("f3",)])
    draft = make_plan(facts, {"pa": 2, "pb": 1}, retry={"f4"})
    assert compiled(draft) == [("f4",)] and draft.groups[0].harder


def test_a_consolidation_with_facts_to_be_tried_again_spends_more_effort_on_all() -> None:
    facts = [fact(1, "pa"), fact(2)]
    (group,) = make_plan(facts, {"pa": 1}, consolidate=True, retry={"f2"}).groups
    assert group.harder and len(group.facts) == 2
    assert not make_plan(facts, {"pa": 1}, consolidate=True).groups[0].harder


def test_a_disabled_fact_is_not_tried_again() -> None:
    assert make_plan([fact(1, "pa"), fact(2, enabled=False)], {"pa": 1}, retry={"f2"}) == Plan(("pa",), ())


def test_orphans_are_patches_that_neither_a_fact_nor_the_served_build_needs() -> None:
    facts = [fact(1, "pa"), fact(2, "pb", enabled=False), fact(3)]
    assert orphans(["pa", "pb", "pc", "pd"], facts, ("pc",)) == ["pd"]
