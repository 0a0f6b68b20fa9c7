"""Enlarging and restoring finished pictures: behaviours §20."""
