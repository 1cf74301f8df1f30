"""What a person does with facts, from the key to the ledger; parts of the facts pane."""
