"""Configurations of MONAI bundles from strangers: read, judged, and built without Python's ``eval``."""
