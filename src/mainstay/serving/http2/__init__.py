"""HTTP/2 as gRPC uses it: frames, headers, flow control, limits. It knows no models."""
