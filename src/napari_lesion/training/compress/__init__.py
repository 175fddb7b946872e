"""Smaller and faster networks: reduced precision, INT8, fewer channels, and what each of them costs."""
