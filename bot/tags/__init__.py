"""Completing tags, wildcards and the names of LoRAs and embeddings while a prompt is typed (behaviours §23.2)."""
