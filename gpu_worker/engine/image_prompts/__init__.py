"""Pictures as prompts: IP-Adapter (Ye et al., "IP-Adapter: Text Compatible Image Prompt Adapter", 2023)."""
