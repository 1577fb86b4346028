#!/bin/sh
# new.sh <build folder> <work folder> - `portolan plugin new` as a new user has it: the packages unpacked, an empty folder, each kind in each
# language. What comes out builds out of the tree, and its own test holds it to the rules and to its cases.
set -eu
build=$1 work=$2
rm -rf "$work" && mkdir -p "$work/empty"
cpack --config "$build/CPackConfig.cmake" -G TGZ -B "$work/dist" > "$work/log.txt" 2>&1 || { cat "$work/log.txt" && exit 1; }
mkdir "$work/unpacked"
for name in portolan portolan-sdk; do
    for tarball in "$work/dist/$name"-[0-9]*.tar.gz; do tar -xzf "$tarball" -C "$work/unpacked" --strip-components=1; done
done
prefix=$work/unpacked/usr
[ -d "$prefix" ] || prefix=$work/unpacked
portolan=$prefix/bin/portolan
cd "$work/empty"

made() { # kind, language
    name=my-$1-$2
    "$portolan" plugin new "$1" "$name" --lang="$3" > "$work/said.txt"
    cd "$name"
    if ! { cmake -B build -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="-Wall -Wextra -Wpedantic -Werror" \
        -DCMAKE_CXX_FLAGS="-Wall -Wextra -Wpedantic -Wconversion -Werror" && cmake --build build && ctest --test-dir build --output-on-failure; } > "$work/log.txt" 2>&1; then
        cat "$work/log.txt"
        exit 1
    fi
    "$portolan" plugin check "build/$(echo "$name" | tr - _).so" --cases=cases > "$work/said.txt" || { cat "$work/said.txt" && exit 1; }
    cd ..
    echo "$1 in $3: $(tail -1 "$work/said.txt")"
}
for kind in provider policy; do
    made $kind cpp c++
    made $kind c c
    if command -v rustc > /dev/null; then made $kind rust rust; else echo "no rustc here: $kind in Rust is left out"; fi
done

# What a slip says.
refused() { # expected text, arguments...
    expected=$1 && shift
    if "$portolan" plugin new "$@" > "$work/said.txt" 2>&1; then echo "accepted: $*" && exit 1; fi
    grep -q "$expected" "$work/said.txt" || { echo "said of $*:" && cat "$work/said.txt" && exit 1; }
}
refused "is there already" policy my-policy-c
refused "a provider or a policy" cache x
refused "lower case" policy "../x"
refused "not for \"go\"" policy x --lang=go
[ "$(ls | wc -l)" -le 6 ]

# A spoilt plugin does not pass its own test.
sed -i 's/out->edit(c->id, S("\/model"), (portolan_str){quoted, r->model.size + 2});//' my-provider-c/my_provider_c.c
cmake --build my-provider-c/build > "$work/log.txt" 2>&1
if ctest --test-dir my-provider-c/build --output-on-failure > "$work/log.txt" 2>&1; then echo "a spoilt plugin passed its test" && exit 1; fi
grep -q "BROKEN cases" "$work/log.txt" || { cat "$work/log.txt" && exit 1; }
echo "and a spoilt one does not pass"

# The check from a test of one's own.
case $build in */asan | */tsan) echo "portolan/check.h: not tried, a program without a sanitizer cannot load a library with one" && exit 0 ;; esac
mkdir "$work/own" && cd "$work/own"
cat > own.c <<'C'
#include <portolan/check.h>
#include <stdio.h>
static void show(void *user, const char *json, size_t size) { fwrite(json, 1, size, user); }
int main(int argc, char **argv) { return argc < 2 ? 2 : portolan_check(argv[1], NULL, 1, show, stdout); }
C
cat > CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.22)
project(own LANGUAGES C)
find_package(PortolanSDK REQUIRED)
add_executable(own own.c)
target_link_libraries(own PRIVATE PortolanSDK::check)
C
{ cmake -B build -DCMAKE_PREFIX_PATH="$prefix" && cmake --build build; } > "$work/log.txt" 2>&1 || { cat "$work/log.txt" && exit 1; }
build/own "$work/empty/my-policy-c/build/my_policy_c.so" | grep -q '"good": true'
build/own "$work/empty/my-policy-c/CMakeLists.txt" > /dev/null && exit 1
echo "portolan/check.h says the same"
