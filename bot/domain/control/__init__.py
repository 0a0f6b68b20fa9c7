"""Control units of a request: which model and preprocessor belong together, and what a change makes of them."""
