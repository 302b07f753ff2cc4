"""Traffic: which version answers a request that asks for none, and which ones are tried on the side."""
