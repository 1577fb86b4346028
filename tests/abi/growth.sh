#!/bin/sh
# growth.sh <portolan> <grown portolan> <plugin folder> <folder of grown plugins> <sources> - R5 both ways: every struct that may grow has grown in the
# second host and in the second folder. Old plugins live in the new host and keep their cases there, new plugins in the old one, and notice where they are.
set -eu
portolan=$1 grown=$2 plugins=$3 new_plugins=$4 sources=$5
said=$(mktemp) && trap 'rm -f "$said"' EXIT
checked=0
for plugin in "$plugins"/*.so; do
    name=$(basename "$plugin" .so) cases=
    for folder in "$sources/plugins/$name/wire" "$sources/policies/$name/cases"; do
        for file in "$folder"/*.json; do [ ! -e "$file" ] || cases=$folder; done
    done
    "$grown" plugin check "$plugin" ${cases:+--cases "$cases"} > "$said" || { cat "$said" && exit 1; }
    checked=$((checked + 1))
done
"$grown" plugin list > "$said"
if grep '^! ' "$said"; then echo "does not serve in a host that has grown" && exit 1; fi
echo "$checked old plugins in the new host"
for host in "$portolan" "$grown"; do
    # notices.so says where it is, so the check's rule on grown structs would find that it does; the other one must not care.
    "$host" plugin check "$new_plugins/abi_provider.so" > "$said" || { cat "$said" && exit 1; }
    "$host" plugin try "$new_plugins/abi_notices.so" --snapshot=/dev/stdin > "$said" <<'JSON'
{"candidates":[{"id":"a/b"}]}
JSON
    case $host in
    "$grown") grep -q 'met a host that has grown too' "$said" || { cat "$said" && exit 1; } ;;
    *) grep -q 'met an older host and did without' "$said" || { cat "$said" && exit 1; } ;;
    esac
    echo "new plugins in $(basename "$host")"
done
