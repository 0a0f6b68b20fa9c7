"""The recipe of the miniature models that Pincel ships: scenes, training, evaluation and export.

Nothing of the product imports this package. `python -m demo_kit --help` lists the parts, each with the number of steps
that it takes.
"""
