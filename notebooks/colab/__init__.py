"""What the cells of notebooks/pincel_colab.ipynb call, so that they stay a few lines each.

It runs in the notebook's own Python, before and beside `.venv`: standard library and this project's texts alone. All
real work is done by `launch.py`, in processes of its own.
"""

from notebooks.colab.machine import drive_folder, secrets_of
from notebooks.colab.notebook import Notebook, open_notebook
from notebooks.colab.places import Kept
from notebooks.colab.telling import StoppedError

__all__ = ["Kept", "Notebook", "StoppedError", "drive_folder", "open_notebook", "secrets_of"]
