"""Looks at what remote workers send, for the bot: in a process of its own, without torch. It knows no job, no user."""
