"""The Open Inference Protocol, version 2, over REST and gRPC, with Triton's binary tensors and classification."""
