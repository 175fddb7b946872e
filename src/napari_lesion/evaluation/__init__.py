"""How good a model is: figures with known answers, intervals by patient, reports."""
