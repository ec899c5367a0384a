"""A page of one's images as a model sees them."""
