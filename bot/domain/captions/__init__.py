"""The captions of a data set: which are shown, what can be done to them, what the rules and the guide say of them."""
