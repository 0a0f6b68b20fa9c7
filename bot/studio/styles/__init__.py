"""/style: what its commands answer, and the buttons below those answers."""
