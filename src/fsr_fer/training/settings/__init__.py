"""Settings of each training, apart: a field that one of them gets repeats no other."""
