"""One question as the tokens of a chat turn, by the model's own template."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from homeedit.errors import HomeEditError

Tokenize = Callable[[str, bool], list[int]]
"""(text, whether the texts of special tokens in it are those tokens) → token ids."""

_STAND_IN = "homeedit question 8f1d4c"
"""Rendered in the question's place to learn what the template puts before and after it."""


class ChatFormat:
    """A model's chat template, with the person's text kept apart from the template's special tokens.

    The template's output is cut at the special tokens nearest to the question. What is between them (the
    question and the plain text around it) is tokenized in one go, as plain text: the ids equal those of
    transformers' ``apply_chat_template``, except that a question which spells a special token, such as
    ``<|im_end|>``, stays text and cannot end the turn or forge another.

    Raises:
        HomeEditError: the template is broken, or does not show the question.
    """

    def __init__(
        self,
        template: str,
        *,
        bos: str,
        eos: str,
        tokenize: Tokenize,
        special_text: Callable[[int], str | None],
    ) -> None:
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # The same environment as transformers uses; the sandbox because a template is code from a file.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.globals.update(raise_exception=_refuse, strftime_now=lambda form: datetime.now().strftime(form))
        self._names = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": True}
        self._tokenize = tokenize
        self._special_text = special_text
        try:
            self._template = environment.from_string(template)
        except TemplateError as error:
            raise HomeEditError(f"The model's chat template is broken: {error}.") from error
        before, found, after = self._render(_STAND_IN).partition(_STAND_IN)
        if not found:
            raise HomeEditError("The model's chat template does not show the question that is asked.")
        self._before, self._after = before, after
        self._head, self._near_before = self._cut_last(before)
        self._near_after, self._tail = self._cut_first(after)
        self.prefix = tuple(tokenize(self._head, True)) if self._head else ()
        """The tokens that every question begins with."""
        self._suffix = tokenize(self._tail, True) if self._tail else []

    def tokens(self, question: str) -> list[int]:
        """The token ids of one user turn with the prompt for the assistant's answer."""
        middle = self._near_before + self._shown(question) + self._near_after
        return [*self.prefix, *self._tokenize(middle, False), *self._suffix]

    def _render(self, question: str) -> str:
        from jinja2 import TemplateError

        messages = [{"role": "user", "content": question}]
        try:
            return str(self._template.render(messages=messages, **self._names))
        except (TemplateError, TypeError, ValueError) as error:
            raise HomeEditError(f"The model's chat template failed: {error}.") from error

    def _shown(self, question: str) -> str:
        """The question as the template shows it (some strip it)."""
        rendered = self._render(question)
        fits = len(rendered) >= len(self._before) + len(self._after)
        if fits and rendered.startswith(self._before) and rendered.endswith(self._after):
            return rendered[len(self._before) : len(rendered) - len(self._after)]
        return question

    def _specials(self, text: str) -> list[str]:
        found = [self._special_text(token) for token in self._tokenize(text, True)]
        return [each for each in found if each and each in text]

    def _cut_last(self, text: str) -> tuple[str, str]:
        """``text`` up to and with its last special token, and the rest."""
        specials = self._specials(text)
        if not specials:
            return "", text
        head, _, rest = text.rpartition(specials[-1])
        return head + specials[-1], rest

    def _cut_first(self, text: str) -> tuple[str, str]:
        """``text`` before its first special token, and the rest."""
        specials = self._specials(text)
        if not specials:
            return text, ""
        match = re.search(re.escape(specials[0]), text)
        at = match.start() if match else len(text)
        return text[:at], text[at:]


def _refuse(message: str) -> Any:
    """``raise_exception`` of chat templates."""
    raise ValueError(message)
