"""The one error the core raises; a face turns it into words and an exit code."""

from typing import Any

DONE, FAILED, USAGE, NOT_RECALLED = 0, 1, 2, 3
"""Exit codes of the command line: done, failed, wrong usage, done but some fact is not recalled."""


class HomeEditError(Exception):
    """Something a person can act on.

    ``message`` says what failed (and what is safe), ``hint`` what to do next.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel between processes whatever their class takes to be made."""
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[HomeEditError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> HomeEditError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(fields)
    return error


class Cancelled(HomeEditError):
    """Long work was asked to stop and did."""

    def __init__(self, message: str = "Stopped. The build that was served before is untouched.") -> None:
        super().__init__(message, "Run the command again to continue.")
