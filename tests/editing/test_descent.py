"""Descent in whitened keys: steps of a set length, on all directions or on a low rank."""

import math

import pytest
import torch
from torch import Tensor

from homeedit.editing.methods.descent import Change, Descent, cut_to_rank

RATE, UNIT = 0.02, 7.0


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def low_rank(dtype: torch.dtype = torch.float64) -> Change:
    """A change of rank 4 with balanced factors, [12, 20]."""
    return cut_to_rank(Change(drawn(12, 20, seed=1, dtype=dtype)), 4)


def copied(change: Change) -> Change:
    return Change(change.left.clone(), None if change.right is None else change.right.clone())


def test_with_all_directions_a_step_is_subtracted() -> None:
    start, step = drawn(12, 20, seed=1), drawn(12, 20, seed=2)
    change = Change(start)
    change.move(step)
    assert torch.equal(change.whitened(), start - step) and change.right is None


def test_on_a_low_rank_a_small_step_moves_along_the_column_and_the_row_space() -> None:
    """P S + S Q: it is in the tangent space, where its part in both spaces, P S Q, counts twice (ScaledGD)."""
    change, step, small = low_rank(), drawn(12, 20, seed=2, dtype=torch.float64), 1e-6
    before, left, right = change.whitened(), change.left, change.right
    assert right is not None
    change.move(small * step)
    moved = (before - change.whitened()) / small
    P, Q = left @ torch.linalg.pinv(left), torch.linalg.pinv(right) @ right
    torch.testing.assert_close(moved, P @ step + step @ Q, rtol=2e-3, atol=2e-3)
    outside = torch.eye(12) - P, torch.eye(20) - Q
    assert (outside[0] @ moved @ outside[1]).norm() < 1e-4 * moved.norm()
    assert change.whitened().shape == before.shape and int(torch.linalg.matrix_rank(change.whitened())) == 4


def test_the_scale_of_the_factors_makes_no_difference() -> None:
    step = 0.01 * drawn(12, 20, seed=2, dtype=torch.float64)
    even, uneven = low_rank(), low_rank()
    assert uneven.right is not None
    uneven.left, uneven.right = uneven.left * 50, uneven.right / 50
    even.move(step)
    uneven.move(step)
    torch.testing.assert_close(even.whitened(), uneven.whitened())


def test_a_change_that_is_nothing_yet_can_be_cut_and_moved() -> None:
    change = cut_to_rank(Change(torch.zeros(12, 20)), 4)
    change.move(drawn(12, 20))
    assert torch.equal(change.whitened(), torch.zeros(12, 20))


def test_the_cut_is_the_best_of_its_rank_and_balanced() -> None:
    whole = drawn(12, 20, seed=3)
    values = torch.linalg.svdvals(whole)
    for rank in (1, 4, 11):
        cut = cut_to_rank(Change(whole), rank)
        assert cut.right is not None and (cut.left.shape, cut.right.shape) == ((12, rank), (rank, 20))
        assert float((whole - cut.whitened()).norm()) == pytest.approx(float(values[rank:].norm()), rel=1e-4)
        torch.testing.assert_close(cut.left.T @ cut.left, cut.right @ cut.right.T, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(cut.left.T @ cut.left, torch.diag(values[:rank]), rtol=1e-4, atol=1e-4)


def test_a_cut_to_a_rank_above_the_changes_own_is_the_change() -> None:
    for change in (Change(drawn(12, 20)), low_rank(torch.float32)):
        torch.testing.assert_close(cut_to_rank(change, 30).whitened(), change.whitened(), rtol=1e-4, atol=1e-5)


def test_factors_make_the_change_of_the_weight() -> None:
    whitening = drawn(20, 30, seed=4)
    for change in (Change(drawn(12, 20)), low_rank(torch.float32)):
        A, B = change.factors(whitening)
        assert A.shape[1] == 30 and B.shape[0] == 12
        torch.testing.assert_close(B @ A, change.whitened() @ whitening, rtol=1e-4, atol=1e-4)


def layers() -> dict[int, Change]:
    return {3: Change(torch.zeros(12, 20)), 5: Change(torch.zeros(12, 16))}


def gradients(seed: int) -> dict[int, Tensor]:
    return {3: 5 * drawn(12, 20, seed=seed), 5: drawn(12, 16, seed=seed + 1)}


def length(changes: dict[int, Change]) -> float:
    return math.sqrt(sum(float(change.whitened().square().sum()) for change in changes.values()))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_first_step_has_its_length_over_all_layers_whatever_the_gradient(scale: float) -> None:
    changes, found = layers(), {layer: scale * each for layer, each in gradients(0).items()}
    Descent(UNIT).step(changes, found, RATE)
    assert length(changes) == pytest.approx(RATE * UNIT, rel=1e-4)
    norm = math.sqrt(sum(float(each.square().sum()) for each in found.values()))
    for layer, change in changes.items():
        torch.testing.assert_close(change.whitened(), -found[layer] * (RATE * UNIT / norm), rtol=1e-4, atol=1e-6)


def test_steps_keep_their_length_while_the_gradient_stays() -> None:
    changes, descent = layers(), Descent(UNIT)
    for _ in range(7):
        descent.step(changes, gradients(0), RATE)
    assert length(changes) == pytest.approx(7 * RATE * UNIT, rel=1e-4)


def test_a_second_step_goes_on_along_the_first() -> None:
    """Both running means are weighted means: gradients by .9 to 1, squared norms by .98 to 1."""
    changes, descent = layers(), Descent(UNIT)
    first, second = gradients(0), gradients(10)
    descent.step(changes, first, RATE)
    before = {layer: copied(change) for layer, change in changes.items()}
    descent.step(changes, second, RATE / 2)
    squares = [sum(float(each.square().sum()) for each in found.values()) for found in (first, second)]
    norm = math.sqrt((0.98 * squares[0] + squares[1]) / 1.98)
    for layer, change in changes.items():
        step = (0.9 * first[layer] + second[layer]) / 1.9 * (RATE / 2 * UNIT / norm)
        torch.testing.assert_close(before[layer].whitened() - change.whitened(), step, rtol=1e-4, atol=1e-6)


def test_a_gradient_longer_than_twice_the_usual_counts_as_twice() -> None:
    def after(scale: float) -> dict[int, Tensor]:
        changes, descent = layers(), Descent(UNIT)
        descent.step(changes, gradients(0), RATE)
        descent.step(changes, {layer: scale * each for layer, each in gradients(0).items()}, RATE)
        return {layer: change.whitened() for layer, change in changes.items()}

    usual, long, spike = after(1.9), after(2.0), after(50.0)
    for layer in usual:
        torch.testing.assert_close(spike[layer], long[layer], rtol=1e-4, atol=1e-6)
        assert not torch.allclose(usual[layer], long[layer], rtol=1e-3)


def test_no_gradient_moves_nothing() -> None:
    changes = {3: Change(drawn(12, 20)), 5: low_rank(torch.float32)}
    before = {layer: change.whitened() for layer, change in changes.items()}
    descent = Descent(UNIT)
    for _ in range(2):
        descent.step(changes, {layer: torch.zeros(12, 20) for layer in changes}, RATE)
    assert all(torch.equal(change.whitened(), before[layer]) for layer, change in changes.items())
    descent.step(changes, {3: drawn(12, 20, seed=5), 5: torch.zeros(12, 20)}, RATE)
    assert not torch.equal(changes[3].whitened(), before[3]) and torch.equal(changes[5].whitened(), before[5])


def test_a_step_does_not_write_into_the_gradient() -> None:
    found = gradients(0)
    descent = Descent(UNIT)
    for _ in range(2):
        descent.step(layers(), found, RATE)
    assert all(torch.equal(found[layer], each) for layer, each in gradients(0).items())
    for layer, running in descent.momentum.items():
        assert running.data_ptr() != found[layer].data_ptr()
