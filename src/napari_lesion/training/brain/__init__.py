"""The brain FLAIR model: synthesis, training, leave-one-patient-out figures, bundle."""
