"""Machines that draw for this bot: invited, looked at, drained and removed by its operator."""
