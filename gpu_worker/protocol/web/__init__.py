"""Asking hosts that nobody vouches for, of bot and worker alike."""
