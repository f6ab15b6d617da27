"""Second-order features of faces: packed, stored in shards, read back in batches."""
