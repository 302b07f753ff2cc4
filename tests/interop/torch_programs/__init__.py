"""Models of PyTorch, exported and converted in a process that has both PyTorch and Mainstay."""
