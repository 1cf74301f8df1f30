"""Evaluation: measurements of what homeedit costs. Nothing here changes a home."""
