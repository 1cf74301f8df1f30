"""The directions that rows use: the same by whichever Gram matrix is smaller."""

import torch

from homeedit.editing.preserved import whiten


def test_directions_of_few_and_of_many_rows_span_what_the_rows_use() -> None:
    generator = torch.Generator().manual_seed(0)
    metric = torch.diag(torch.linspace(0.5, 2.0, 24))
    few = torch.randn(6, 24, generator=generator)
    # The same keys over and over have the same second moment, by the other Gram matrix.
    many = few.repeat(5, 1)
    nothing = torch.zeros(0, 24)
    narrow, wide = whiten(metric, nothing, few, 4).right, whiten(metric, nothing, many, 4).right
    assert narrow.shape == wide.shape == (4, 24)
    torch.testing.assert_close(narrow.T @ narrow, wide.T @ wide, rtol=1e-3, atol=1e-4)


def test_no_more_directions_than_rows() -> None:
    few = torch.randn(3, 24, generator=torch.Generator().manual_seed(1))
    right = whiten(torch.eye(24), torch.zeros(0, 24), few, 10).right
    assert right.shape == (3, 24)
    torch.testing.assert_close(right @ right.T, torch.eye(3), rtol=1e-4, atol=1e-5)
