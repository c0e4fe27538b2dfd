"""Runs the same graphs on CUDA and Apple GPUs with PyTorch."""
