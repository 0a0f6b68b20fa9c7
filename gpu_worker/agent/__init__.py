"""A machine that joins a bot elsewhere: one agent, which needs no card, and a child process for each card."""
