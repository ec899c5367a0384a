"""Images beside each other: those of a code, those near each other, and thumbnails of them."""
