"""The terminal app: parse, render, nothing else; everything else is asked of ``Household``."""
