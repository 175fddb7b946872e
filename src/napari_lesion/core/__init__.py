"""Nouns of the field: grids, volumes, label maps, probability maps, lesions, jobs and errors (no I/O)."""
