"""What runs a network: OpenVINO on the CPU, PyTorch on a CUDA card or where it is asked for."""
