"""Stage ``validate``: what must be true of the faces, and what is left behind about it."""
