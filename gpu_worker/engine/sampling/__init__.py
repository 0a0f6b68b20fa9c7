"""Noise sources, sigma schedules and samplers."""
