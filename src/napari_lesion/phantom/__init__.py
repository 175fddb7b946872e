"""Studies with known answers: a synthetic chest CT, and the script that cut the real sample out of its scan."""
