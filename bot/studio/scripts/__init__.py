"""Scripts before people: offered with their cost, drawn cell by cell, their cells handed out."""
