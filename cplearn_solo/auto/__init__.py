"""Keys that are ``auto``: values that fit the images and the machine, with reasons."""
