"""What those who run the server need: metrics, logs, traces, encryption, access and limits."""
