"""The servers that `benchmarks/serving.py` compares with, each answering with the same small model."""
