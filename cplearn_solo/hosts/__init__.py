"""Other programs that train our methods."""
