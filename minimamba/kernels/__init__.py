"""The same equations in CUDA C++: scans, the fused selective scan, the causal convolution.

`launch` decides when a kernel runs in place of an op's array code, compiles it and calls it;
nothing here needs CuPy to be imported. The sources are compiled for three GPU generations, and
executed on the CPU, by tests/kernels.
"""
