"""The same equations in CUDA C++: scans, the fused selective scan, the causal convolution, Adam.

One launcher an op, and `compile`; `minimamba.dispatch` decides when a kernel runs in place of an
op's array code. Nothing here needs CuPy to be imported. The sources are compiled for three GPU
generations, and executed on the CPU, by tests/kernels.
"""
