"""X/Y/Z plots (behaviours §14): what the axes are, what each does with a request, and how a plot is put together.

Its modules are imported by name, because the stored script (bot/domain/scripts/plot.py) needs some of them and others
need it."""
