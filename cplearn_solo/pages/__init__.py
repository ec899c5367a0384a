"""What all HTML pages of this project share: one skeleton and one style sheet."""

from cplearn_solo.pages.base import image, page

__all__ = ["image", "page"]
