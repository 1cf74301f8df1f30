"""Parts that several panes are made of."""
