#!/usr/bin/env bash
# Figures of the proxy path beside nginx, in one run: proxy on core 0, load and mock on core 1. Tables go to build/bench.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
for tool in taskset wrk python3; do
    command -v "$tool" >/dev/null || { echo "bench: $tool is missing (./build.sh bench installs it)" >&2; exit 1; }
done
ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
# 20 minutes are the end of it, whatever hangs.
exec timeout --kill-after=10 1200 python3 -B "$here/bench.py" --root "$root" "$@"
