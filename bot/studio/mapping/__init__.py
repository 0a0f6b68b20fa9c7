"""Maps of pictures: `/preprocess`, the lists and forms behind a picture's button, and those that led a drawing."""
