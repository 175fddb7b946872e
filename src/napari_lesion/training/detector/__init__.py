"""Training of the second stage: a network that outlines one candidate in a crop around it."""
