"""Dynamic prompts (behaviours §19): templates, wildcards, and a process of its own that draws texts from them."""
