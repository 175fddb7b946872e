"""Training presets, one JSON file each."""
