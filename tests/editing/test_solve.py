"""The cheap closed form equals the published dense formula, in float64."""

import pytest
import torch

from homeedit.editing.preserved import NullSpace, metric, null_space, orthonormal, whiten
from homeedit.editing.solve import closed_form
from homeedit.evaluation.speed.reference import published_form


def problem(seed: int, keys: int, earlier: int, d_ff: int = 48, d_model: int = 16):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    preserved = draw(200, d_ff) * torch.linspace(0.05, 3, d_ff, dtype=torch.float64)
    space = null_space(preserved.T @ preserved / 200, threshold=0.5)
    return draw(keys, d_ff), draw(keys, d_model), draw(earlier, d_ff), space


@pytest.mark.parametrize(("keys", "earlier", "ridge"), [(1, 0, 1.0), (5, 0, 10.0), (7, 9, 1.0), (3, 4, 1e-3)])
def test_cheap_form_equals_dense_formula(keys: int, earlier: int, ridge: float) -> None:
    K1, R, Kp, space = problem(keys, keys, earlier)
    A, B = closed_form(K1, R, Kp, space, ridge)
    assert A.shape == (keys, 48) and B.shape == (16, keys)
    projector = space.project(torch.eye(48, dtype=torch.float64))
    torch.testing.assert_close(B @ A, published_form(K1, R, Kp.T @ Kp, projector, ridge), rtol=1e-9, atol=1e-11)


def test_change_leaves_projected_out_directions_alone() -> None:
    K1, R, Kp, space = problem(3, 4, 2)
    A, B = closed_form(K1, R, Kp, space, 1.0)
    assert space.directions.shape[1] > 0
    assert (B @ A @ space.directions).abs().max() < 1e-12


def test_small_ridge_reaches_the_residuals_and_spares_earlier_keys() -> None:
    K1, R, Kp, space = problem(11, 3, 3)
    A, B = closed_form(K1, R, Kp, space, 1e-9)
    torch.testing.assert_close(K1 @ (B @ A).T, R, rtol=1e-5, atol=1e-5)
    assert (Kp @ (B @ A).T).abs().max() < 1e-6


def test_projector_is_symmetric_and_idempotent() -> None:
    *_, space = problem(2, 1, 0)
    identity = torch.eye(48, dtype=torch.float64)
    P = space.project(identity)
    torch.testing.assert_close(P, P.T)
    torch.testing.assert_close(P @ P, P)


def test_threshold_is_relative_to_the_layer() -> None:
    moment = torch.diag(torch.tensor([8.0, 4.0, 1.0, 0.1], dtype=torch.float64))
    assert null_space(moment, 1.0).directions.shape[1] == 2
    assert null_space(moment * 1000, 1.0).directions.shape[1] == 2


def test_whitening_gives_unit_moment_and_avoids_forbidden_keys() -> None:
    generator = torch.Generator().manual_seed(0)
    text = torch.randn(500, 24, generator=generator) * torch.linspace(0.2, 3, 24)
    forbidden = torch.randn(2, 24, generator=generator)
    C = metric(text.T @ text / 500, [], ridge=0.0)
    plain = whiten(C, torch.zeros(0, 24), None, 24).right
    torch.testing.assert_close(plain @ C @ plain.T, torch.eye(24), rtol=1e-3, atol=1e-3)
    kept_out = whiten(C, forbidden, None, 24).right
    assert (kept_out @ forbidden.T).abs().max() < 1e-4


def test_whitening_cut_to_used_directions_keeps_what_the_rows_use() -> None:
    generator = torch.Generator().manual_seed(1)
    C = torch.eye(24)
    used = torch.randn(40, 5, generator=generator) @ torch.randn(5, 24, generator=generator)
    cut = whiten(C, torch.zeros(0, 24), used, 5).right
    assert cut.shape == (5, 24)
    torch.testing.assert_close((used @ cut.T).norm(dim=1), used.norm(dim=1), rtol=1e-3, atol=1e-3)


def test_metric_adds_weighted_means_and_ridge() -> None:
    moment = torch.diag(torch.tensor([1.0, 3.0]))
    keys = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    found = metric(moment, [(3.0, keys), (5.0, torch.zeros(0, 2))], ridge=0.1)
    torch.testing.assert_close(found, torch.diag(torch.tensor([1 + 3 * 2 + 0.2, 3.2])))


def test_orthonormal_drops_dependent_keys() -> None:
    keys = torch.tensor([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 5.0]])
    assert orthonormal(keys).shape == (3, 2)


def test_null_space_projects_vectors_and_batches() -> None:
    space = NullSpace(torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(space.project(torch.tensor([3.0, 4.0])), torch.tensor([0.0, 4.0]))
