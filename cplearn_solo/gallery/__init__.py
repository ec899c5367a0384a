"""A page of the user's images as a model sees them."""
