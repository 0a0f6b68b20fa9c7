"""/regions and the desk on which a picture's regions are laid out."""
