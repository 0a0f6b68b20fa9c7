"""The tag editor: the captions of a data set, by hand, in bulk, and by a tagger."""
