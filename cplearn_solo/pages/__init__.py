"""What all HTML pages of this project share: templates, one skeleton and one style sheet."""

from cplearn_solo.pages.render import render

__all__ = ["render"]
