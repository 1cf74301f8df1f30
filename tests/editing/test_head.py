"""Losses at the head: gradients written by hand are those of automatic differentiation, also on a shortlist."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from homeedit.editing.head import TOKENS_AT_ONCE, Head, best_logprobs, shortlist

VOCABULARY, WIDTH, COUNT = 50, 12, 2 * TOKENS_AT_ONCE + 5
"""More tokens than are worked on at once, and not a multiple."""
KEPT = torch.tensor([1, 4, 5, 9, 17, 20, 21, 33, 40, 49])


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def whole(dtype: torch.dtype = torch.float32, bias: bool = True) -> Head:
    return Head(drawn(VOCABULARY, WIDTH, seed=1, dtype=dtype), drawn(VOCABULARY, seed=2, dtype=dtype) if bias else None)


def plain(head: Head, states: Tensor, wanted: Tensor, floor: float) -> Tensor:
    """The losses as torch's own functions give them: of token ids, or of a teacher's states."""
    mine = functional.linear(states, head.weight, head.bias)
    if wanted.dim() == 1:
        places = wanted if head.place is None else head.place[wanted]
        return (functional.cross_entropy(mine, places, reduction="none") - floor).clamp_min(0)
    theirs = functional.linear(wanted, head.weight, head.bias).log_softmax(-1)
    return functional.kl_div(mine.log_softmax(-1), theirs, reduction="none", log_target=True).sum(-1)


def with_gradient(losses: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """The losses and the gradient of their sum, each token with a weight of its own."""
    outer = torch.linspace(-1, 2, len(losses), dtype=losses.dtype)
    (gradient,) = torch.autograd.grad((losses * outer).sum(), states)
    return losses.detach(), gradient


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("floor", [0.0, 1.5])
def test_likelihood_losses_and_gradients_are_those_of_cross_entropy(
    dtype: torch.dtype, short: bool, bias: bool, floor: float
) -> None:
    head = whole(dtype, bias).shortened(KEPT) if short else whole(dtype, bias)
    wanted = KEPT[torch.arange(COUNT) % len(KEPT)]
    # Half of the tokens are near to being said already, so that some losses are under the floor.
    states = drawn(COUNT, WIDTH, seed=3, dtype=dtype) + whole(dtype).weight[wanted] * (torch.arange(COUNT) % 2)[:, None]
    states.requires_grad_()
    losses, gradient = with_gradient(head.likelihood_losses(states, wanted, floor), states)
    expected, expected_gradient = with_gradient(plain(head, states, wanted, floor), states)
    assert losses.dtype == torch.float32 and gradient.dtype == dtype
    torch.testing.assert_close(losses.to(dtype), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-5)
    under = expected == 0
    assert bool(under.any()) == (floor > 0) and not under.all()
    assert gradient[under].abs().sum() == 0, "what is learned pulls no more"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_teacher_losses_and_gradients_are_those_of_the_divergence(dtype: torch.dtype, short: bool, bias: bool) -> None:
    head = whole(dtype, bias).shortened(KEPT) if short else whole(dtype, bias)
    states = drawn(COUNT, WIDTH, seed=4, dtype=dtype).requires_grad_()
    teacher = states.detach() + 0.5 * drawn(COUNT, WIDTH, seed=5, dtype=dtype)
    losses, gradient = with_gradient(head.teacher_losses(states, teacher), states)
    expected, expected_gradient = with_gradient(plain(head, states, teacher, 0.0), states)
    assert losses.dtype == torch.float32 and gradient.dtype == dtype and losses.min() > 0
    torch.testing.assert_close(losses.to(dtype), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-5)


def test_the_teacher_itself_has_no_loss_and_no_gradient() -> None:
    states = drawn(COUNT, WIDTH, seed=4).requires_grad_()
    losses, gradient = with_gradient(whole().teacher_losses(states, states.detach().clone()), states)
    assert losses.abs().max() < 1e-6 and gradient.abs().max() < 1e-6


@pytest.mark.parametrize("teacher", [False, True])
def test_half_precision_is_only_rounding_away(teacher: bool) -> None:
    states = drawn(COUNT, WIDTH, seed=6, dtype=torch.bfloat16)
    wanted = drawn(COUNT, WIDTH, seed=7, dtype=torch.bfloat16) if teacher else torch.arange(COUNT)
    found = {}
    for dtype in (torch.bfloat16, torch.float32):
        # The same numbers in both, so that only the work differs.
        weight, bias = (drawn(*shape, seed=8, dtype=torch.bfloat16).to(dtype) for shape in ((VOCABULARY, WIDTH), (50,)))
        head, mine = Head(weight, bias), states.to(dtype).detach().requires_grad_()
        losses = head.teacher_losses(mine, wanted.to(dtype)) if teacher else head.likelihood_losses(mine, wanted)
        found[dtype] = with_gradient(losses, mine)
    for half, full in zip(found[torch.bfloat16], found[torch.float32], strict=True):
        assert (half.float() - full).norm() < 0.02 * full.norm()


def test_a_shortened_head_is_the_same_head_of_fewer_tokens() -> None:
    head = whole()
    short = head.shortened(KEPT)
    states = drawn(3, 4, WIDTH, seed=9)
    torch.testing.assert_close(short.logits(states), head.logits(states)[..., KEPT])
    assert short.place is not None and short.place[KEPT].tolist() == list(range(len(KEPT)))
    assert sorted(KEPT[short.place[short.place >= 0]].tolist()) == KEPT.tolist()
    assert int((short.place < 0).sum()) == VOCABULARY - len(KEPT)
    assert whole(bias=False).shortened(KEPT).bias is None


def test_the_shortlist_is_what_is_wanted_and_then_what_is_likely() -> None:
    best = drawn(VOCABULARY, seed=10)
    unlikely = best.argsort()[:3].sort().values
    chosen = shortlist(best, unlikely, 10)
    assert chosen.tolist() == sorted({*unlikely.tolist(), *best.argsort(descending=True)[:7].tolist()})
    assert bool(torch.isfinite(best).all()), "what is given stays as it is"
    assert shortlist(best, unlikely, 1000).tolist() == list(range(VOCABULARY))


def test_no_wanted_token_is_left_out_however_many_there_are() -> None:
    best, wanted = drawn(VOCABULARY, seed=10), torch.arange(0, VOCABULARY, 2)
    assert shortlist(best, wanted, 10).tolist() == wanted.tolist()


@pytest.mark.parametrize("count", [1, 256, 300])
def test_best_logprobs_are_each_tokens_best(count: int) -> None:
    head, states = whole(), drawn(count, WIDTH, seed=11)
    before = states.clone()
    expected = head.logits(states).log_softmax(-1).amax(0)
    torch.testing.assert_close(best_logprobs(head, states), expected)
    assert torch.equal(states, before)
