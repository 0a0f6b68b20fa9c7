"""ControlNet in Discord: the units of a request, put together before it is drawn."""
