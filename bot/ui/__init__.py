"""What users press and fill in: the custom_id codec, persistent buttons, modals, reactions, and their error door."""
