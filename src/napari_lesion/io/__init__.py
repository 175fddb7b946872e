"""Reading volumes, checking them, and writing masks, tables and records."""
