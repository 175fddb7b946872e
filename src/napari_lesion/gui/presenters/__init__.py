"""What the panels do, without Qt: one presenter a panel, which knows its view by a Protocol only."""
