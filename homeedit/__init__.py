"""homeedit: a household teaches its own small language model."""

__version__ = "0.1.0"
