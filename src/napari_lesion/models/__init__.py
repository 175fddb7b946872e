"""MONAI bundles: what they state, where they lie, and how their network is loaded without running their code."""
