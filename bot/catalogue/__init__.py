"""Models that can be fetched by name: the list that ships, and what an operator adds or `models verify` found out."""

from bot.catalogue.catalogue import (
    SHIPPED,
    Catalogue,
    Entry,
    UnknownNameError,
    load_catalogue,
    operator_file,
    operators_catalogue,
    verified_file,
)
from bot.catalogue.reader import CatalogueError

__all__ = [
    "SHIPPED", "Catalogue", "CatalogueError", "Entry", "UnknownNameError", "load_catalogue", "operator_file",
    "operators_catalogue", "verified_file",
]  # fmt: skip
