"""Regions of a picture and their words, as people write and change them."""
