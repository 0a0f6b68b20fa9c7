"""Loading checkpoints with no hub access, keeping them loaded, and hashing their files."""
