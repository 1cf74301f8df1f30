"""Chat templates: Jinja programs that come with a model and write a conversation as its prompt.

Teaching and serving must see the same prompt, so both render here.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from homeedit.errors import HomeEditError

_THE_DAY = datetime(2024, 7, 26)
"""Templates that put today's date before every question (Llama 3.2, SmolLM3) are told this one always, which Llama
3.1's names: else a compile would give other bytes tomorrow, and each morning every prompt would
begin as none that was taught. What day it is belongs into a client's own instructions, where Home Assistant puts it."""


class Template:
    """A chat template in the environment that transformers gives it.

    Raises:
        HomeEditError: it is not a template.
    """

    def __init__(self, text: str, *, bos: str, eos: str) -> None:
        from jinja2 import TemplateError, meta

        environment = _environment()
        try:
            self._template = environment.from_string(text)
            self.shows_tools = "tools" in meta.find_undeclared_variables(environment.parse(text))
            """Whether it has a place for the functions that are offered."""
        except (TemplateError, RecursionError) as error:
            raise HomeEditError(f"The model's chat template is broken: {error}.") from error
        self.shows_calls = "tool_calls" in text
        """Whether it has a place for the functions that the assistant called."""
        # Models that think aloud before they answer (Qwen 3, SmolLM3) are asked not to: a small model's taught answer
        # is to come at once. Other templates do not look at it.
        self._names = {"bos_token": bos, "eos_token": eos, "enable_thinking": False}

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        ready: bool = True,
    ) -> str:
        """The prompt as text; ``ready``: with the beginning of the assistant's answer.

        Raises:
            HomeEditError: the template refuses the messages.
        """
        try:
            given = {"messages": messages, "tools": tools, "add_generation_prompt": ready, **self._names}
            return str(self._template.render(given))
        # A template is a program from a file; what it fails with may be anything.
        except Exception as error:
            raise HomeEditError(f"The model's chat template failed: {error}.") from error


def template_of(tokenizer: Any) -> Template:
    """The template of a transformers tokenizer.

    Raises:
        HomeEditError: it is not a template.
    """
    bos, eos = (str(token or "") for token in (tokenizer.bos_token, tokenizer.eos_token))
    return Template(tokenizer.get_chat_template(), bos=bos, eos=eos)


def _environment() -> Any:
    from jinja2 import nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}``, which marks the assistant's words for training, and writes nothing."""

        tags = {"generation"}

        def parse(self, parser: Any) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body).set_lineno(line)

    # The sandbox because a template is code from a file.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    # Jinja's own ``tojson`` escapes for HTML.
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_refuse, strftime_now=_THE_DAY.strftime)
    return environment


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> Any:
    """``raise_exception`` of chat templates."""
    raise ValueError(message)
