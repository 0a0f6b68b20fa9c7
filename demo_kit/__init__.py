"""The recipe of the miniature models that Pincel ships: scenes, training, evaluation and export.

Nothing of the product imports this package. `python -m demo_kit --help` lists the parts; docs/models.md says what came
of them.
"""
