"""X/Y/Z plots before people: asked for by a command, or begun from a finished picture."""
