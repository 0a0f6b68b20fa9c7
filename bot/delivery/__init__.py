"""Cards, progress edits, the upload ladder, and how a result reaches its user when the first way is closed."""
