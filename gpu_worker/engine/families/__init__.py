"""Model families: what a family's weights say about the shape of its networks."""
