"""The same equations in CUDA C++."""
