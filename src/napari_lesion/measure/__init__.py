"""Measurements of lesions: one registry of described features, one engine that computes them on crops."""
