#!/usr/bin/env bash
# Installs Clang with its fuzzer and its coverage tools with apt-get where it is missing: tools/fuzz.py builds with it.
set -euo pipefail

if command -v clang >/dev/null && command -v llvm-cov >/dev/null &&
    [ -n "$(ls "$(clang -print-resource-dir)"/lib/linux/libclang_rt.fuzzer-*.a 2>/dev/null)" ]; then
    echo "$(command -v clang) is there"
    exit
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
"${as_root[@]}" apt-get update -qq
version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    clang llvm "libclang-rt-$version-dev" >/dev/null
clang --version | head -n 1
