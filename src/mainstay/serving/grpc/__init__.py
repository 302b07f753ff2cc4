"""gRPC services of the server: what they answer. The transport is `http2`."""
