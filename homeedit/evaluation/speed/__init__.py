"""``homeedit bench speed``: seconds and bytes, measured on the machine at hand.

``report`` runs the sections and compares them, ``setup`` is what they all work on. Importing this package alone
loads nothing heavy.
"""

SECTIONS = ("reference", "default", "closed-form", "solve", "growth", "memory", "statistics", "commands")
"""What can be measured, in the order in which it is."""
