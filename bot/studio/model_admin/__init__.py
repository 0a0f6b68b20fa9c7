"""What admins do with models: /model-admin and the buttons below its answers."""
