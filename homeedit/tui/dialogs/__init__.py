"""Questions and texts that stand over the panes."""
