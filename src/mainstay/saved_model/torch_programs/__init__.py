"""Programs that `torch.export` captured, as functions of JAX; PyTorch itself is never imported here."""
