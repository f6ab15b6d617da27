"""Stage ``validate``: checks of the faces, and the report of their results."""
