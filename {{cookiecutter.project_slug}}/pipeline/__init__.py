"""One tabular model, declared in YAML, run by DVC: a module for every verb."""

import os

# Intel's MKL, which PyTorch multiplies matrices with, rounds differently with another number of
# threads unless told not to; it reads this before its first product.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
# NVIDIA's cuBLAS is only deterministic with a fixed workspace.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
# Arrow's allocator asks for huge pages; virtual machines stall on them now and then, and loading
# takes three times as long. Without, it always takes the same.
os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
