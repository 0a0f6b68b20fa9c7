"""Restore faces: found, aligned, drawn again, put back (behaviours §21)."""
