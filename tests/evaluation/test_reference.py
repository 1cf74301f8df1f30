"""The reference is the published algorithm: its rows, its positions, its solve."""

import pytest
import torch
from torch.nn import functional

from homeedit.editing.preserved import null_space
from homeedit.editing.recipes import recipe_for
from homeedit.editing.solve import closed_form
from homeedit.evaluation.speed.reference import Context, Edited, Reference, published_form
from homeedit.evaluation.speed.setup import Setup
from homeedit.progress import Progress


@pytest.fixture
def reference(setup: Setup) -> Reference:
    torch.set_num_threads(1)
    return Reference(setup.base, recipe_for("alphaedit", setup.base), "cpu")


def loss(reference: Reference, context: Context) -> float:
    with torch.no_grad():
        logits = reference.model(input_ids=context.ids, attention_mask=context.mask).logits
    return float(functional.cross_entropy(logits.transpose(1, 2), context.wanted))


@pytest.mark.parametrize("earlier", [0, 6])
def test_its_dense_solve_is_the_closed_form(earlier: int) -> None:
    generator = torch.Generator().manual_seed(earlier)
    keys, residuals, before, text = (
        torch.randn(rows, width, generator=generator, dtype=torch.float64)
        for rows, width in ((4, 32), (4, 8), (earlier, 32), (90, 32))
    )
    space = null_space(text.T @ text / 90, 1.0)
    projector = space.project(torch.eye(32, dtype=torch.float64))
    A, B = closed_form(keys, residuals, before, space, 2.0)
    found = published_form(keys, residuals, before.T @ before, projector, 2.0)
    torch.testing.assert_close(found, B @ A, rtol=1e-9, atol=1e-11)


def test_rows_stand_whole_behind_their_prefix(setup: Setup, reference: Reference) -> None:
    (fact,) = setup.facts(1)
    rows = reference.rows(fact, None)
    context = reference.context(rows)
    prefix = len(reference.chat.prefix)
    assert prefix > 0 and {row.prefixed for row in rows} == {True, False}
    for number, row in enumerate(rows):
        shift = prefix if row.prefixed else 0
        ids, wanted = context.ids[number], context.wanted[number]
        assert tuple(ids[shift : shift + len(row.ids)].tolist()) == row.ids
        assert int(context.mask[number].sum()) == shift + len(row.ids)
        assert tuple(wanted[wanted >= 0].tolist()) == row.answer
        (positions,) = torch.nonzero(wanted >= 0, as_tuple=True)
        assert ids[positions + 1].tolist() == wanted[positions].tolist()
        assert int(context.subject_ends[number]) == shift + row.subject_end
    few = reference.rows(fact, 3)
    assert few == [*rows[:2], rows[-1]]


def test_an_edit_teaches_the_fact_and_grows_the_history(setup: Setup, reference: Reference) -> None:
    first, second = setup.facts(2)
    context = reference.context(reference.rows(first, 6))
    before = loss(reference, context)
    pristine = {name: tensor.clone() for name, tensor in reference.model.state_dict().items()}
    edited = reference.edit(first, Progress(), 6)
    assert loss(reference, context) < before
    changed = {
        name for name, tensor in reference.model.state_dict().items() if not bool((tensor == pristine[name]).all())
    }
    assert {name.split("mlp.")[1] for name in changed} == {"down_proj.weight"}
    assert len(changed) == len(reference.recipe.layers)
    assert edited.losses[1] < edited.losses[0]
    assert edited.steps == 25 and edited.search > 0 and edited.solve > 0
    layer = reference.recipe.layers[0]
    once = reference.history[layer].clone()
    assert torch.linalg.matrix_rank(once) == 1
    reference.edit(second, Progress(), 6)
    assert torch.linalg.matrix_rank(reference.history[layer]) == 2


def test_seconds_with_the_early_stop() -> None:
    assert Edited(search=10.0, solve=2.0, steps=25, enough=5, tokens=1, losses=(3.0, 1.0)).stopped == pytest.approx(4.0)
    assert Edited(search=10.0, solve=2.0, steps=25, enough=None, tokens=1, losses=(3.0, 1.0)).stopped == pytest.approx(
        12.0
    )
