"""Facts, rows and a tiny random model for the tests of the editing core."""

from transformers import LlamaForCausalLM

from homeedit.base.architecture import architecture_named
from homeedit.editing.model import EditableModel
from homeedit.editing.requests import Row
from homeedit.facts.fact import Fact
from homeedit.facts.parse import parse_sentence

PREFIX = (1, 5, 9, 2)


def fact(number: int, sentence: str) -> Fact:
    parsed = parse_sentence(sentence)
    return Fact(
        f"f{number}",
        parsed.sentence,
        parsed.subject,
        parsed.prompt,
        parsed.target,
        parsed.questions,
        parsed.relation,
        True,
        "draft",
        None,
        1,
        "",
        "",
    )


KEY, CODE = fact(1, "The spare key is under the blue pot."), fact(2, "The shed code is 4711.")


def editable(raw: LlamaForCausalLM) -> EditableModel:
    """The model of four layers with its middle two open."""
    return EditableModel(raw, architecture_named("llama"), (1, 2), PREFIX)


def row(ids: list[int], start: int, prefixed: bool = True, kind: str = "fact", first: bool = False) -> Row:
    return Row(tuple(ids), start, (1.0,) * (len(ids) - start), kind, 0, prefixed, first=first)  # type: ignore[arg-type]
