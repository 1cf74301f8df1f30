"""Recipes: an editing method with its numbers for a base model.

The numbers were measured on SmolLM2-135M-Instruct; README.md in this folder says which and how.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from homeedit.base.store import BaseModel
from homeedit.editing.calibrated import read_calibration
from homeedit.errors import USAGE, HomeEditError

Method = Literal["joint", "alphaedit", "rome", "memit", "memit-csk", "alphaedit-csk"]
"""The first two are for homes; the others are there to be measured against."""
Position = Literal["subject", "verb", "object"]
"""Where a statement is read: at the last token of this word."""

ESSENCE_WEIGHT = 0.0625
"""``kl_factor`` of ROME, MEMIT and AlphaEdit."""
MEMIT_RIDGE = 0.1
"""MEMIT's λ as a share of d_ff: see ``recipe_for``."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a compile needs to know beside facts and model. KL in nats per token."""

    method: Method
    layers: tuple[int, ...]
    """Edited layers."""

    facts_per_round: int = 12
    """joint: more facts than these are learned in rounds, each on top of those before, as patches are."""
    steps: int = 20
    """Least training steps (joint); steps of the search for z (the others)."""
    steps_per_root_fact: float = 30.0
    """joint: most steps of a round; they grow with the square root of its facts, as facts share what they need."""
    rate: float = 0.028
    """joint: the length of a step, as a share of what the edited layers say of preserved text; the others: Adam's."""
    free_share: float = 0.22
    """joint: the share of steps before the cut to low rank."""
    hold_share: float = 0.3
    """joint: the share of a full round's steps at the full rate; from there it falls to zero along a cosine. See
    ``hold_for``."""
    warmup: int = 5
    rows_per_step: int = 24
    """Fact rows a step, hardest first."""
    replays_per_step: int = 8
    """Rows of earlier facts a step: those that were disturbed, then those most like the new facts'."""
    kept_per_step: int = 10
    contrasts_per_step: int = 12
    texts_per_step: int = 4
    """Keep rows, contrast rows and texts a step: half of each the worst, half drawn at random. All five numbers are
    those of a full round; see ``share_of_rows``."""
    floor: float = 0.03
    """Negative log-likelihood (nats) of an answer token under which it counts as learned."""
    keep_weight: float = 12.0
    contrast_weight: float = 6.0
    text_weight: float = 4.0
    """Weights of the mean KL on keep rows, on contrast rows and on texts."""
    change_penalty: float = 40.0
    """Weight of the change's share of the layer's output on preserved text, in a model that nothing was taught yet."""
    penalty_doubles: int = 40
    penalty_at_most: float = 3.0
    """Facts taught before at which a further change is twice as dear, and how many times as dear it may become: see
    ``on_top_of``."""
    contrasts_per_fact: int = 8
    earlier_contrasts_per_fact: int = 3
    """Near misses of each new fact; and near misses of earlier facts, as many of all of them for each new fact."""
    kept_tokens: int = 20
    contrast_tokens: int = 8
    """Tokens of the base's own answer that a keep row (and what is asked of a fact's kind of thing) and a contrast row
    hold."""
    text_tokens: int = 32
    kept_rows_per_step: int = 3
    text_rows_per_step: int = 1
    """Keep rows and pieces of text that a round chooses from, for each of its steps; a share of these for a few
    facts."""
    replay_per_fact: int = 4
    replay_rows: int = 60
    """Rows of each fact of the patches stood on, and of all of them together unless they have more facts; a share of
    these for a few facts."""

    metric_kept: float = 3.0
    metric_prefix: float = 3.0
    metric_earlier: float = 5.0
    """Weights, in the metric, of kept rows' keys, the prefix's keys, and earlier patches' keys."""
    metric_ridge: float = 1e-3
    most_directions: int = 768
    """Directions of the rows' whitened keys that training may use, per layer."""

    rank_per_fact: int = 4
    least_rank: int = 8

    most_kl: float = 0.10
    least_kept: float = 0.8
    """Limits of the gate: KL to the base on its own unrelated answers (nats a token), and the share of general
    questions that the base answers rightly and firmly and the build must still answer rightly."""

    most_repeats: int = 2
    repeat_steps: int = 8
    repeat_rate: float = 0.01
    """Further rounds of steps while some fact's first question is not learned; the best of them is kept."""

    threshold: float = 1.0
    """alphaedit: eigenvalues above this share of the mean are projected out."""
    ridge: float = 1.0
    """alphaedit: L2 of the closed form; memit: λ, the weight of C in it."""
    position: Position = "subject"
    prefixes: int = 5
    """Where bare statements are read, and how many generated beginnings they get (all methods but joint)."""
    essence_weight: float = 0.0
    """Weight of the KL on what follows "<the word read> is a", in the search for z on bare statements."""

    def steps_for(self, facts: int, rows: int) -> int:
        """Most training steps for a round of so many facts: enough that every one of their rows has its turn."""
        return max(self.steps, round(self.steps_per_root_fact * math.sqrt(facts)), -(-rows // self.rows_per_step))

    def share_of_rows(self, facts: int) -> float:
        """The share of a full step's rows that a round of this many facts uses: a few facts have few rows."""
        return min(1.0, (facts + 6) / 18)

    def rate_for(self, facts: int) -> float:
        """The length of a step for this many facts: a few need a smaller change, and long steps overshoot it."""
        return self.rate * min(1.0, (facts + 8) / 20)

    def hold_for(self, facts: int) -> float:
        """The share of steps at the full rate: a few facts are learned long before their steps are used up, and
        then the rate fades at once."""
        return max(self.hold_share, 0.85 - facts / 20)

    def replays_for(self, earlier: int, facts: int) -> int:
        """Rows of each of ``earlier`` facts, of the patches that a compile of ``facts`` stands on."""
        rows = int(self.replay_rows * self.share_of_rows(facts))
        return max(1, min(self.replay_per_fact, rows // max(1, earlier)))

    def preserved_for(self, facts: int, per_step: int) -> int:
        """Preserved rows that a round of this many facts chooses from."""
        return round(per_step * self.steps_for(facts, 0) * self.share_of_rows(facts))

    def schedule(self, step: int, steps: int, hold: float) -> float:
        """The share of the rate at a step: warm-up, full for a share of the steps, then a cosine to zero."""
        warm = min(1.0, (step + 1) / self.warmup)
        past = (step / steps - hold) / (1 - hold)
        return warm * (0.5 * (1 + math.cos(math.pi * past)) if past > 0 else 1.0)

    def on_top_of(self, facts: int) -> "Recipe":
        """This recipe for a compile that stands on so many facts: what is disturbed adds up from compile to compile,
        so the more was taught before, the dearer is what a further change disturbs. Not without end: what is too dear
        cannot be told apart from what is like it."""
        dearer = min(1 + facts / self.penalty_doubles, self.penalty_at_most)
        return replace(self, change_penalty=self.change_penalty * dearer)

    def with_more_effort(self) -> "Recipe":
        """This recipe for facts that were not learned with it: twice the steps and rounds, twice the time."""
        return replace(
            self,
            steps=2 * self.steps,
            steps_per_root_fact=2 * self.steps_per_root_fact,
            most_repeats=2 * self.most_repeats,
        )

    def with_firmer_hold(self) -> "Recipe":
        """This recipe for facts that cost the rest too much with it: what a change disturbs is twice as dear (in the
        closed form: the change itself), up to the same most, and a step holds twice the rows of earlier facts."""
        return replace(
            self,
            change_penalty=2 * self.change_penalty,
            penalty_at_most=self.penalty_at_most / 2,
            replays_per_step=2 * self.replays_per_step,
            ridge=2 * self.ridge,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a patch's metadata."""
        return asdict(self)


def recipe_for(method: str, base: BaseModel) -> Recipe:
    """The recipe of a method for a base model, with the numbers that were calibrated for it.

    Raises HomeEditError for a method that does not exist, and for a calibration that cannot be read.

    Numbers of the classic editors are their papers' (GPT-J and GPT-2 XL; AlphaEdit: Llama-3), scaled where they mean
    something else in a model of another size:

    - Layers as shares of the depth: GPT-2 XL's 17 of 48 for ROME is SmolLM2's 10 of 30, the first edited layer;
      MEMIT's five are the first five edited ones, for which there are statistics.
    - λ of MEMIT as a share of d_ff: a key answers to its own edit by s / (s + λ), s = kᵀ C⁻¹ k, and s is d_ff for
      the mean key of preserved text. GPT-J's 15,000 is .92 of its d_ff; here that leaves an edit half said (five
      development sentences, statements completed .40; at .10 and at .01 of d_ff .60).
    - The rate of the search for z: hidden states are as long here (140 at layer 10, 6 a coordinate) as ROME's and
      MEMIT's .5 wants; AlphaEdit's .1 ends far from the target in 25 steps (completed .20; at .5 .80).
    - The cap on z is ROME's 4 for all (``targets.py``); the weight decay is 1e-3 of the square.
    """
    middle = len(base.edited_layers) // 2
    alphaedit = Recipe(
        method="alphaedit",
        layers=base.edited_layers[: max(1, middle)][-5:],
        steps=25,
        rate=0.5,
        essence_weight=ESSENCE_WEIGHT,
    )
    memit = Recipe(
        method="memit",
        layers=base.edited_layers[:5],
        steps=25,
        rate=0.5,
        ridge=MEMIT_RIDGE * base.d_ff,
        essence_weight=ESSENCE_WEIGHT,
    )
    recipes = {
        "joint": Recipe(method="joint", layers=base.edited_layers),
        "alphaedit": alphaedit,
        "rome": replace(memit, method="rome", layers=base.edited_layers[:1], steps=20, ridge=0.0),
        "memit": memit,
        "memit-csk": replace(memit, method="memit-csk", position="verb"),
        "alphaedit-csk": replace(alphaedit, method="alphaedit-csk", layers=memit.layers, position="verb"),
    }
    if method not in recipes:
        raise HomeEditError(
            f"There is no editing method called {method!r}.", f"Choose of {', '.join(recipes)}.", exit_code=USAGE
        )
    found = recipes[method]
    known = {each.name: each.value for each in read_calibration(base)}
    if method == "joint" and "rank_per_fact" in known:
        found = replace(found, rank_per_fact=int(known["rank_per_fact"]))
    if method in ("alphaedit", "alphaedit-csk") and "threshold" in known:
        found = replace(found, threshold=float(known["threshold"]))
    return found
