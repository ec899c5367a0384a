"""Keys that say ``auto``: what fits the images and the machine, and why."""
