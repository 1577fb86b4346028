#!/usr/bin/env bash
# The one tool script: installs what is missing, builds, runs, tests, measures and packs. `./build.sh help` lists the verbs.
set -euo pipefail
umask 022 # what is built here is loaded as code: nobody else may write to it
root="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
cd "$root"
jobs="${PORTOLAN_JOBS:-$(nproc)}"
fuzz_seconds="$SECONDS" # bash counts on from the value that the environment gives
[ "$fuzz_seconds" -gt 0 ] || fuzz_seconds=60
SECONDS=0

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }

usage() {
    cat <<'TEXT'
./build.sh VERB [arguments]

  run [args]      release build, then `portolan serve [args]`; without arguments: echo provider on 127.0.0.1:8000, no key
  test [args]     release build, then every test; arguments go to ctest (-R front)
  lint [BASE]     clang-tidy on the C++ files that changed since BASE (default: origin's main, else the last commit), shellcheck
  soak [NAME]     load proofs: failover storm stalled slow drain long, 13 minutes in all (see tests/soak/README.md)
  bench [args]    figures beside nginx, into build/bench (see tests/bench/README.md)
  fuzz [NAME]     every libFuzzer harness (or those whose name contains NAME) for SECONDS each (default 60)
  asan, tsan      the whole test suite under ASan+UBSan, under TSan; arguments go to ctest
  package         .tar.gz and .deb of portolan and portolan-sdk into dist/
  clean           removes build/ and dist/

Environment: PORTOLAN_JOBS (parallel jobs), PORTOLAN_NO_INSTALL=1 (never call apt-get), SECONDS (fuzz),
PORTOLAN_CLIENT_PROGRAMS=1 (test installs Codex and Claude Code too, 800 MB, and runs them).
TEXT
}

# --- Debian packages -----------------------------------------------------------------------------------------------------------------

installed() { [ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Installs what of its arguments is missing; "a|b" means whichever is installed or, in this order, known to apt.
# Nothing is fetched or updated when nothing is missing.
need() {
    local missing=() package choice updated=0
    command -v dpkg-query >/dev/null || { say "no dpkg here: taking it that the dependencies are installed"; return 0; }
    for package in "$@"; do
        local found=0
        for choice in ${package//|/ }; do
            if installed "$choice"; then found=1; break; fi
        done
        [ "$found" = 1 ] || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "${PORTOLAN_NO_INSTALL:-0}" != 1 ] || die "missing packages: ${missing[*]} (PORTOLAN_NO_INSTALL=1 forbids installing them)"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || die "missing packages: ${missing[*]}; run as root, or install sudo"
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq && updated=1
    [ "$updated" = 1 ] || die "apt-get update failed"
    local wanted=()
    for package in "${missing[@]}"; do
        local found=""
        for choice in ${package//|/ }; do
            if apt-cache show "$choice" >/dev/null 2>&1; then found="$choice"; break; fi
        done
        [ -n "$found" ] || die "no such Debian package: $package (Debian 12 or newer is needed)"
        wanted+=("$found")
    done
    # nginx would start a service on install: a policy answers "no" for the length of this call, unless the machine has its own.
    local policy=/usr/sbin/policy-rc.d placed=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        placed=1
    fi
    local status=0
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${wanted[@]}" >&2 || status=$?
    [ "$placed" = 0 ] || as_root rm -f "$policy"
    [ "$status" = 0 ] || die "apt-get install failed"
}

need_build() {
    need g++ cmake ninja-build ccache pkg-config libpoco-dev "libboost-dev|libboost1.81-dev" nlohmann-json3-dev \
        libspdlog-dev libyaml-cpp-dev libsimdjson-dev libssl-dev catch2 "libllhttp-dev|node-llhttp" python3
}

# --- building ------------------------------------------------------------------------------------------------------------------------

build() { # preset, targets...
    local preset="$1" began="$SECONDS"
    shift
    say "building ($preset, $jobs jobs)"
    cmake --preset "$preset" >"build/configure-$preset.log" 2>&1 || { cat "build/configure-$preset.log" >&2; die "configuring failed"; }
    cmake --build "build/$preset" -j "$jobs" ${1:+--target "$@"}
    say "built in $((SECONDS - began)) s"
}

install_npm() { # list in tests/clients, folder, what, which tests
    command -v npm >/dev/null || return 0
    ! cmp -s "tests/clients/$1" "$2/installed.json" || return 0
    mkdir -p "$2"
    cp "tests/clients/$1" "$2/package.json"
    if (cd "$2" && timeout 300 npm install --no-package-lock --no-audit --no-fund --silent >"$2/npm.log" 2>&1); then
        cp "tests/clients/$1" "$2/installed.json"
    else
        say "CLIENT TESTS: npm could not install $3 (no registry?); $4 will be skipped"
    fi
}

# Official client libraries, into build/clients and nowhere else. Without a registry their tests skip, out loud.
prepare_clients() {
    local at="$root/build/clients"
    mkdir -p "$at"
    if ! command -v npm >/dev/null || ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        (need nodejs npm python3-venv) || say "CLIENT TESTS: Node or python3-venv cannot be installed here"
    fi
    install_npm package.json "$at/node" "the libraries" "the Node client tests"
    [ "${PORTOLAN_CLIENT_PROGRAMS:-0}" != 1 ] || install_npm programs.json "$at/programs" "Codex and Claude Code" "their tests"
    if python3 -c 'import venv, ensurepip' 2>/dev/null && ! cmp -s tests/clients/requirements.txt "$at/python/installed.txt"; then
        if python3 -m venv "$at/python" && timeout 300 "$at/python/bin/pip" install --quiet -r tests/clients/requirements.txt >"$at/pip.log" 2>&1; then
            cp tests/clients/requirements.txt "$at/python/installed.txt"
        else
            say "CLIENT TESTS: pip could not install the libraries (no registry?); the Python client tests will be skipped"
        fi
    fi
}

run_tests() { # preset, ctest arguments...
    local preset="$1" runner=()
    shift
    if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
        runner=(setarch -R) # older TSan runtimes cannot live with the kernel's larger address randomisation
    fi
    PORTOLAN_CLIENTS="$root/build/clients" "${runner[@]}" ctest --test-dir "build/$preset" --output-on-failure -j 2 "$@"
}

# --- verbs ---------------------------------------------------------------------------------------------------------------------------

verb_run() {
    need_build
    build release host/all plugins/all policies/all
    exec build/release/bin/portolan serve "$@"
}

verb_test() {
    need_build
    prepare_clients
    build release
    run_tests release "$@"
}

verb_asan() {
    need_build
    prepare_clients
    build asan
    export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1}"
    export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
    run_tests asan "$@"
}

verb_tsan() {
    need_build
    prepare_clients
    build tsan
    export TSAN_OPTIONS="${TSAN_OPTIONS:-second_deadlock_stack=1:halt_on_error=1}"
    run_tests tsan "$@"
}

verb_lint() {
    need_build
    need clang-tidy
    local base="${1:-}" files=() file
    if [ -z "$base" ]; then
        base="$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)"
    fi
    cmake --preset debug >/dev/null
    while IFS= read -r file; do
        case "$file" in
            host/*.cpp | plugins/*.cpp | policies/*.cpp | examples/*.cpp) [ -f "$file" ] && files+=("$file") ;;
        esac
    done < <({ git diff --name-only "$base"; git ls-files --others --exclude-standard; } | sort -u)
    python3 tests/architecture/check.py "$root"
    if [ "${#files[@]}" -gt 0 ]; then
        say "clang-tidy on ${#files[@]} files changed since ${base:0:12}"
        # gcc's own flags mean nothing to clang; -fno-gnu-unique is the plugins'.
        printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$jobs" clang-tidy --quiet -p build/debug \
            --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-unknown-argument --extra-arg=-Wno-ignored-optimization-argument
    else
        say "no C++ file changed since ${base:0:12}"
    fi
    if command -v shellcheck >/dev/null; then
        shellcheck build.sh .ci/run tests/bench/run.sh
    else
        say "shellcheck is not installed: scripts were parsed only"
        bash -n build.sh .ci/run
        bash -n tests/bench/run.sh
    fi
    say "lint is clean"
}

verb_bench() {
    need_build
    need nginx-light\|nginx wrk
    build release host/all plugins/all policies/all bench_tools
    exec tests/bench/run.sh "$@"
}

verb_soak() {
    need_build
    build release host/all plugins/all policies/all faultd
    exec python3 -B tests/soak/soak.py "$@"
}

verb_fuzz() {
    need_build
    need clang
    local harness failed=0 ran=0
    build fuzz fuzzers
    python3 tests/fuzz/provider_seeds.py build/fuzz/seeds
    for harness in build/fuzz/bin/*_fuzz; do
        [ -x "$harness" ] || continue
        local name="${harness##*/}"
        [[ "$name" == *"${1:-}"* ]] || continue
        local corpus="build/fuzz/corpus/${name}" seeds="build/fuzz/seeds/${name}"
        mkdir -p "$corpus" build/fuzz/findings
        say "$name for $fuzz_seconds s"
        local arguments=(-max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
            -artifact_prefix="build/fuzz/findings/${name}-" "$corpus")
        [ ! -d "$seeds" ] || arguments+=("$seeds")
        if "$harness" "${arguments[@]}" >"build/fuzz/${name}.log" 2>&1; then
            grep -E "number_of_executed_units|average_exec_per_sec" "build/fuzz/${name}.log" >&2 || true
        else
            failed=$((failed + 1))
            tail -n 40 "build/fuzz/${name}.log" >&2
        fi
        ran=$((ran + 1))
    done
    [ "$ran" -gt 0 ] || die "no harness matches '${1:-}'"
    printf '%d passed, %d failed\n' "$((ran - failed))" "$failed"
    [ "$failed" = 0 ]
}

verb_package() {
    need_build
    need dpkg-dev file
    build release host/all plugins/all policies/all sdk/check/all
    mkdir -p dist
    (cd build/release && cpack -G "TGZ;DEB" -B "$root/dist")
    rm -rf dist/_CPack_Packages
    ls -l dist >&2
}

verb="${1:-help}"
[ "$#" -eq 0 ] || shift
case "$verb" in
    run | test | lint | bench | soak | fuzz | asan | tsan | package) mkdir -p build; "verb_$verb" "$@" ;;
    clean) say "removing build/ and dist/"; rm -rf build dist ;;
    help | -h | --help) usage ;;
    *) usage >&2; die "unknown verb '$verb'" ;;
esac
