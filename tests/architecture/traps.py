#!/usr/bin/env python3
"""docs/plugins/traps.md is held to what it says: 82 lines, and every test that a line names is there. Usage: traps.py [ROOT]"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if ROOT.is_dir() else ROOT.parents[2]
RECORDINGS = pathlib.Path(os.environ.get("PORTOLAN_SHARED", ROOT.parent / "shared")) / "data" / "recordings"


def wrong_with(held):
    """What is wrong with the last column of a line, piece by piece."""
    if held.startswith("not tested: ") and len(held) > 30:
        return
    named = re.findall(r'`([^`]+)` "([^"]+)"', held)
    if not named or re.sub(r'`[^`]+` "[^"]+"(, )?', "", held):
        yield f"names no test: {held}"
    for place, words in named:
        if place == "replay":
            if RECORDINGS.is_dir() and not (RECORDINGS / words).exists():
                yield f"no recording {words}"
        elif not (ROOT / place).is_file() or words not in (ROOT / place).read_text():
            yield f"{place} has no {words!r}"


def main():
    lines = [line.split(" | ") for line in (ROOT / "docs/plugins/traps.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)]
    wrong = [f"trap {line[0][2:]}: {w}" for line in lines for w in wrong_with(line[-1].removesuffix(" |"))]
    if [line[0][2:] for line in lines] != [str(n) for n in range(1, 83)]:
        wrong.append(f"{len(lines)} lines, not 1 to 82")
    tested = sum(not line[-1].startswith("not tested") for line in lines)
    print(*(wrong or [f"{tested} traps are tested, {len(lines) - tested} are not and say why"]), sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
