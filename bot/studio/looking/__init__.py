"""Finished pictures, whoever made them: how they were made, what they show, and larger."""
