"""Train, cross-validate and ship the network that rates a nodule as readers would."""
