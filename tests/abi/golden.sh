#!/bin/sh
# golden.sh <golden folder> <work folder> <portolan>... - plugins as they were built for the first release, in today's hosts: checked, loaded
# beside the shipped ones, and asked. Later hosts, whose structs have grown, are asked too.
set -eu
golden=$1/$(uname -m) work=$2
shift 2
[ -d "$golden" ] || { echo "SKIPPED: no golden plugins for $(uname -m)" && exit 77; }
for portolan in "$@"; do
    rm -rf "$work" && mkdir -p "$work/plugins" && cd "$work"
    cp "$golden"/*.so plugins/
    chmod 644 plugins/*.so
    cat > portolan.yaml <<YAML
auth: {mode: off}
server: {data_dir: $work/data}
plugins: {dirs: [$work/plugins, "$(dirname "$portolan")/../plugins"], trust: any}
providers:
  - {name: one, type: echo}
  - {name: two, type: echo}
routes:
  - {name: old, policy: affinity, targets: [one/echo, two/echo]}
YAML
    echo '{"model":"old","messages":[{"role":"user","content":"hello"}]}' > request.json
    for plugin in plugins/*.so; do
        "$portolan" plugin check "$plugin" > said.txt || { cat said.txt && exit 1; }
    done
    "$portolan" plugin list --config=portolan.yaml > said.txt 2>&1
    for id in acme.affinity test.provider; do grep -q "^  $id " said.txt || { echo "$id does not serve:" && cat said.txt && exit 1; }; done
    "$portolan" route explain request.json --config=portolan.yaml > said.txt 2>&1 || { cat said.txt && exit 1; }
    [ "$(grep -c rendezvous said.txt)" = 2 ] || { echo "the golden policy was not asked:" && cat said.txt && exit 1; }
    printf 'data: {"content":"hi"}\n\ndata: {"finish_reason":"stop"}\n\n' > reply.sse
    "$portolan" plugin try plugins/provider.so --request=request.json --reply=reply.sse > said.txt
    grep -q '"kind":"finish","name":"stop"' said.txt || { cat said.txt && exit 1; }
    echo "$(basename "$portolan"): golden plugins are checked, loaded and run"
done
