#!/bin/sh
# header.sh <sdk folder> - the headers in every language level with both compilers; a throwing function fits into no table.
sdk=$1 warn="-Wall -Wextra -Wpedantic -Wconversion -Werror" bad=0 missing=
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
try() { "$@" || { echo "failed: $*"; bad=1; }; }

for compilers in "gcc g++" "clang clang++"; do
    cc=${compilers% *} cxx=${compilers#* }
    command -v "$cc" > /dev/null && command -v "$cxx" > /dev/null || { missing="$missing $cc" && continue; }
    for h in "$sdk"/include/portolan/abi.h "$sdk"/include/portolan/draft/*.h; do
        try "$cc" -std=c11 $warn -I"$sdk/include" -xc -fsyntax-only "$h"
        for std in c++20 c++2b; do try "$cxx" -std=$std $warn -I"$sdk/include" -xc++ -fsyntax-only "$h"; done
    done
    for std in c++20 c++2b; do
        printf '#include <portolan/plugin.hpp>\n' | try "$cxx" -std=$std $warn -I"$sdk/include" -xc++ -fsyntax-only -
    done
    try "$cc" -std=c11 $warn -I"$sdk/include" -fsyntax-only "$sdk/gate/bindings.c"
    if "$cxx" -std=c++20 -I"$sdk/include" -fsyntax-only "$sdk/gate/throws.cpp" 2> "$tmp/said"; then
        echo "$cxx: a throwing function went into a table" && bad=1
    elif ! grep -q 'noexcept\|no known conversion\|cannot initialize\|invalid conversion' "$tmp/said"; then
        echo "$cxx: throws.cpp failed for another reason:" && cat "$tmp/said" && bad=1
    fi
done
[ $bad = 0 ] || exit 1
[ -z "$missing" ] || { echo "SKIPPED for$missing: not installed" && exit 77; }
echo "C11, C++20 and C++23 with gcc and clang"
