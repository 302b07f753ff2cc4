"""HTTP/1.1: connections, requests and answers as bytes."""
