"""One measured number, with what was wanted of it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value in a unit. ``wanted`` is ``>= BOUND``, ``<= BOUND`` or empty; ``note`` says how it came about."""

    name: str
    value: float
    unit: str
    wanted: str = ""
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the value is as wanted; None when nothing particular is."""
        if not self.wanted:
            return None
        sign, bound = self.wanted.split()
        return self.value >= float(bound) if sign == ">=" else self.value <= float(bound)

    @property
    def shown(self) -> str:
        """The value with about three digits."""
        size = abs(self.value)
        return f"{self.value:,.0f}" if size >= 100 else f"{self.value:.1f}" if size >= 10 else f"{self.value:.3g}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the fields and ``met``."""
        return {**asdict(self), "met": self.met}
