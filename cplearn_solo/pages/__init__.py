"""What every HTML page of this project shares: one skeleton and one style sheet."""

from cplearn_solo.pages.base import image, page

__all__ = ["image", "page"]
