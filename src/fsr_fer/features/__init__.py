"""Second-order features of faces: packed, stored one file per size, read back in batches."""
