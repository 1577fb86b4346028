#!/bin/sh
# examples.sh <source root> <build folder> <work folder> <test_abi> - the examples as a stranger builds them: against an installed SDK, out of
# the tree. Then the finished files are audited, checked and called.
set -eu
root=$1 build=$2 work=$3 test_abi=$4
mkdir -p "$work"
cmake --install "$build" --component sdk --prefix "$work/prefix" > "$work/log.txt" 2>&1 || { cat "$work/log.txt" && exit 1; }
sdk=$work/prefix/share/portolan/sdk

build_example() { # its name
    if ! { cmake -S "$root/examples/$1" -B "$work/$1" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_PREFIX_PATH="$work/prefix" \
        -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror" -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Wconversion -Werror" &&
        cmake --build "$work/$1"; } > "$work/log.txt" 2>&1; then
        cat "$work/log.txt"
        exit 1
    fi
}
for name in provider_cpp policy_cpp policy_c generator_cpp; do build_example $name; done
set -- "$work/provider_cpp/generate.so" "$work/policy_cpp/local_first.so" "$work/policy_c/affinity.so" "$work/generator_cpp/countdown.so"
"$sdk/gate/audit.sh" "$@"
if command -v rustc > /dev/null; then
    build_example policy_rust
    "$sdk/gate/audit.sh" --runtime "$work/policy_rust/weighted_rust.so"
    set -- "$@" "$work/policy_rust/weighted_rust.so"
else
    echo "no rustc here: policy_rust is left out"
fi
for plugin in "$@"; do
    "$work/prefix/bin/portolan-check" "$plugin" > "$work/log.txt" || { cat "$work/log.txt" && exit 1; }
done
"$sdk/gate/manifests.py" "$sdk/manifest.schema.json" "$@" || [ $? = 77 ]
PORTOLAN_EXAMPLES=$work "$test_abi" "[examples]"
