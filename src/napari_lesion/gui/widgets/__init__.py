"""Qt widgets of the dock, through qtpy; they show and ask, and compute nothing."""
