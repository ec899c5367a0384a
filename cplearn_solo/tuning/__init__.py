"""Search for the keys of a method by many short runs, of which the best continue: the same effort for every method."""
