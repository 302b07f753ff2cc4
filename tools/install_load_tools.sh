#!/usr/bin/env bash
# Installs wrk and h2load with apt-get where they are missing: benchmarks/serving.py puts load on servers with them.
set -euo pipefail

if command -v wrk >/dev/null && command -v h2load >/dev/null; then
    echo "wrk and h2load are there"
    exit
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk nghttp2-client >/dev/null
h2load --version
