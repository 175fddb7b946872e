"""Bundles made by others, run with their own pre-processing, inferer and post-processing."""
