"""Looks for what keeps Pincel from running and says how to fix each: `python -m bot.doctor [--json]`."""
