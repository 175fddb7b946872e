"""From a volume to lesions: organ, windows, backend, probability, candidates."""
