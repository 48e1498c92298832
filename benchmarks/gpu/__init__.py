"""Times, numbers and counts of the CUDA kernels."""
