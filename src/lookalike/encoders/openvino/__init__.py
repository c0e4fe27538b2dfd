"""Runs models on the CPU with OpenVINO."""
