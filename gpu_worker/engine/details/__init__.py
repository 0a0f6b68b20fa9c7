"""Detail fix: parts of a picture that a detector finds, as masks."""
