"""Rate a marked lung nodule as readers would: crops, scores, calibration."""
