#!/usr/bin/env bash
# Installs Chromium with apt-get where it is missing: tests/interop looks at TensorBoard's pages with it.
set -euo pipefail

if command -v chromium >/dev/null; then
    echo "$(command -v chromium) is there"
    exit
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
chromium --version
