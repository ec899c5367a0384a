"""The objective on CPUs without multiplying: products are looked up from tables by the dictionary's bits."""
