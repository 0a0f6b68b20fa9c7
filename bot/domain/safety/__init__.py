"""What a server, its admins and the operator allow: limits, places, words, and what becomes of a picture. Pure."""
