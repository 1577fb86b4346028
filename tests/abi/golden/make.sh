#!/bin/sh
# make.sh - builds the golden plugins of this machine's kind anew. Before 1.0 only together with a new PORTOLAN_DRAFT (sdk/README.md); from
# 1.0 on never: these files are what plugin authors have out there, and every later host must load and run them.
set -eu
here=$(cd "$(dirname "$0")" && pwd) root=$here/../../..
mkdir -p "$here/$(uname -m)"
build() { # name, source
    gcc -std=c11 -O2 -s -fPIC -shared -fvisibility=hidden -I"$root/sdk/include" -Wl,--version-script="$root/sdk/portolan_plugin.map" -Wl,-z,now -Wl,-z,relro \
        -Wl,-z,defs -Wl,--build-id=none "$root/$2" -o "$here/$(uname -m)/$1.so"
}
build policy examples/policy_c/affinity.c
build provider tests/check/bad/provider.c
