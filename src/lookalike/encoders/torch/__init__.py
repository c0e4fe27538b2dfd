"""Runs the graphs of image encoders on CUDA and Apple GPUs with PyTorch."""
