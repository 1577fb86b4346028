#!/bin/sh
# gate.sh <sdk folder> - the header against what is frozen, and the gate against headers that it must judge rightly.
command -v pahole > /dev/null || { echo "SKIPPED: no pahole here (Debian: dwarves)" && exit 77; }
"$1/gate/check.sh" "$1/include" && "$1/gate/mutants.py" "$1/include" || exit 1
rust=$(sed -n 's/^pub const DRAFT: u32 = \([0-9]*\);/\1/p' "$1/rust/portolan.rs")
[ "$rust" = "$(cat "$1/gate/frozen/draft.txt")" ] || { echo "portolan.rs is of draft $rust" && exit 1; }
