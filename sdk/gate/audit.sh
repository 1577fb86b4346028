#!/bin/sh
# audit.sh [--runtime] <plugin.so>... - R1: one exported symbol. R10: nothing imported that a pure component has no use for.
# --runtime: R10 only warns, for languages whose runtime drags such imports in (Rust).
# Generators may own threads and read clocks (R10), so the manifest's kinds are looked at. Exit status 0: all keep the rules.
bad=0 warn=
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
if [ "$1" = --runtime ]; then warn=1 && shift; fi
never='socket|connect|bind|listen|accept|accept4|send|sendto|sendmsg|recv|recvfrom|recvmsg|getaddrinfo|gethostbyname|open|open64|openat|fopen|fopen64|opendir|unlink|rename|mmap|getenv|secure_getenv|setenv|putenv|system|popen|fork|vfork|execv|execve|execvp|posix_spawn|posix_spawnp|kill|dlopen|dlsym|exit|_exit|signal|sigaction'
pure='pthread_create|thrd_create|time|gettimeofday|clock|clock_gettime|_ZNSt6chrono3_V212system_clock3nowEv|_ZNSt6chrono3_V212steady_clock3nowEv|rand|rand_r|random|srand|getrandom|getentropy|arc4random|_ZNSt13random_device9_M_getvalEv|sleep|usleep|nanosleep|clock_nanosleep'
for f in "$@"; do
    [ -f "$f" ] || { echo "no such file: $f" && bad=1 && continue; }
    names=$(nm -D --defined-only "$f" | awk '{print $3}' | sed 's/@.*//' | sort -u)
    if [ "$names" != portolan_plugin_v1 ]; then
        echo "R1: $(basename "$f") exports" $names
        bad=1
    fi
    # Into a file of our own: run by root, a failing objcopy takes away whatever its output names, /dev/stdout too.
    objcopy -O binary --only-section=.portolan.manifest "$f" "$tmp/manifest" 2> /dev/null || : > "$tmp/manifest"
    case $(tr -d '\0' < "$tmp/manifest") in
    *portolan.generator/*) forbidden=$never ;;
    *portolan.*) forbidden="$never|$pure" ;;
    *) echo "R1: $(basename "$f") has no manifest" && bad=1 && continue ;;
    esac
    imports=$(nm -D -u "$f" | awk '{print $2}' | sed 's/@.*//' | grep -xE "$forbidden" | tr '\n' ' ')
    if [ -n "$imports" ]; then
        echo "R10: $(basename "$f") imports $imports${warn:+(from its runtime)}"
        [ -n "$warn" ] || bad=1
    fi
done
[ $bad = 0 ] && echo "$# plugins: each exports portolan_plugin_v1 and nothing else"
exit $bad
