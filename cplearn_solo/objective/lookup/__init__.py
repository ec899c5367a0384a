"""The objective on CPUs without multiplication: the dictionary's bits select precomputed sums from tables."""
