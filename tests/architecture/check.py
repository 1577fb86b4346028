#!/usr/bin/env python3
"""The include rules of docs/adr/0002-rooms.md, and what else can be read off the source tree. Usage: check.py [ROOT]"""

import os
import pathlib
import re
import subprocess
import sys

# Which rooms a room's files may include from. core is open to all; of config all rooms see config/config.h only.
ROOMS = {
    "core": set(),
    "config": set(),
    "wire": set(),
    "dialect": set(),
    "ledger": set(),
    "store": {"ledger"},
    "routing": {"ledger"},
    "upstream": {"wire", "ledger", "dispatch/provider.h"},
    "dispatch": {"wire", "upstream", "ledger"},
    "front": {"wire", "dialect", "routing", "dispatch", "upstream", "ledger"},
    "control": {"ledger", "store"},
    "plugin": {"routing/policy.h", "dispatch/provider.h"},
    "plugin_host": {"plugin/isolated_server.h"}, # a program of its own
    # A plugin's file as the host reads it, and frames as it cuts them; nothing of a running host.
    "check": {"plugin/abi_value.h", "plugin/elf.h", "plugin/manifest.h", "plugin/schema.h", "wire/frames.h"},
}
# Pure interfaces that know core alone: including one is not knowing its room.
CONTRACTS = {"routing/policy.h", "dispatch/provider.h"}
# Libraries and headers that only some files may name: include prefix -> files (folders end in '/').
CONFINED = {
    "boost/": ["host/plugin/library.cpp"],
    "llhttp": ["host/wire/*.cpp"],
    "Poco/": ["host/control/", "host/*.cpp", "host/*.h", "host/store/", "host/upstream/blocking"],
    "portolan/": ["host/plugin/", "host/check/", "sdk/", "plugins/", "policies/", "examples/"],
    "simdjson": ["host/dialect/"],
    "spdlog": ["host/core/log.cpp"],
    "yaml-cpp": ["host/config/"],
    "sqlite3": ["host/store/"],
    "openssl/": ["host/wire/*.cpp", "host/front/", "host/plugin/", "host/store/", "host/upstream/", "host/config/"],
}
NLOHMANN_BANNED = ["host/core/", "host/wire/", "host/dialect/", "host/routing/", "host/dispatch/", "host/upstream/"]
# What plugins, policies and examples may include besides the C and C++ standard libraries.
OUTSIDE_MAY = ("portolan/", "nlohmann/")
LINES_ALARM = 400
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
SOURCE = {".h", ".hpp", ".c", ".cpp"}
TEXT = SOURCE | {".md", ".py", ".sh", ".js", ".mjs", ".json", ".yaml", ".yml", ".cmake", ".txt", ".rs", ".map", ".conf", ".service", ".in"}
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work|home/\w+|Users/\w+|root|tmp/briefs)(?:/[\w.-]+|\b)")


def fits(path, patterns):
    for pattern in patterns:
        if pattern.endswith("/"):
            if path.startswith(pattern):
                return True
        elif "*" in pattern:
            folder, _, tail = pattern.rpartition("/")
            if path.rpartition("/")[0] == folder and pathlib.PurePath(path).match(tail):
                return True
        elif path == pattern or path.startswith(pattern):
            return True
    return False


def includes_of(text):
    return [(text.count("\n", 0, m.start()) + 1, m.group(1) == '"', m.group(2)) for m in INCLUDE.finditer(text)]


def tracked_files(root):
    """What git knows or would add; without git, the tree without build folders."""
    try:
        out = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True).stdout
        names = [n for n in out.splitlines() if (root / n).is_file()]
        if names:
            return names
    except (OSError, subprocess.CalledProcessError):
        pass
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", "dist", "out", "data", "node_modules", "__pycache__") and not f.startswith(".git")]
        names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return names


def check(root):
    """(broken rules, warnings) as lines of text."""
    broken, warnings = [], []
    known = {}  # host-relative name -> includes of host files
    for name in sorted(tracked_files(root)):
        path = root / name
        if path.suffix not in TEXT and path.name not in ("CMakeLists.txt", "Dockerfile", "build.sh", "run"):
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for match in MACHINE_PATH.finditer(text):
            if name.startswith("tests/architecture/"):
                continue
            broken.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: path of one machine: {match.group(0)}")
        if path.suffix not in SOURCE:
            continue
        lines = text.count("\n")
        if lines > LINES_ALARM and not name.startswith(("sdk/include/", "tests/")):
            warnings.append(f"{name}: {lines} lines, over {LINES_ALARM}: what is hiding?")
        told = path.suffix == ".cpp" and path.with_suffix(".h").is_file()  # its header says it
        if name.startswith("host/") and path.suffix in {".h", ".cpp"} and not told and not text.startswith("//"):
            broken.append(f"{name}:1: the first line says what the file is for")
        found = includes_of(text)
        if name.removeprefix("host/") in CONTRACTS:
            for line, quoted, target in found:
                if quoted and not target.startswith("core/"):
                    broken.append(f"{name}:{line}: a contract includes core only, not {target}")
        if name.startswith(("plugins/", "policies/", "examples/")):
            for line, quoted, target in found:
                standard = not quoted and "/" not in target and not target.endswith(".hpp")
                beside = quoted and (path.parent / target).is_file()
                if not (standard or beside or target.startswith(OUTSIDE_MAY)):
                    broken.append(f"{name}:{line}: includes {target}; plugins, policies and examples see sdk, std and nlohmann only")
        if not name.startswith("host/"):
            continue
        known[name[5:]] = [t for _, q, t in found if q]
        room = name.split("/")[1] if name.count("/") > 1 else ""
        for line, quoted, target in found:
            where = f"{name}:{line}: "
            for prefix, allowed in CONFINED.items():
                if target.startswith(prefix) and not fits(name, allowed):
                    broken.append(f"{where}includes {target}, which is confined to {', '.join(allowed)}")
                    break
            if target.startswith("nlohmann/") and fits(name, NLOHMANN_BANNED):
                broken.append(f"{where}includes {target}: not on the way of a request")
            if not quoted or not room:
                continue  # main and app know every room
            other = target.split("/")[0] if "/" in target else room
            if other == room or other == "core":
                continue
            if other == "config":
                if target != "config/config.h":
                    broken.append(f"{where}includes {target}; other rooms see config/config.h only")
                elif room == "core":
                    broken.append(f"{where}includes {target}; core includes std only")
                continue
            if room not in ROOMS:
                broken.append(f"{where}room {room} is not in the table of rooms")
            elif other not in ROOMS[room] and target not in ROOMS[room]:
                broken.append(f"{where}{room} may not include {target}")
    broken += cycles(known)
    return broken, warnings


def cycles(known):
    """Cycles between rooms, from the includes that are really there."""
    edges = {}
    for name, targets in known.items():
        if "/" not in name:
            continue
        room = name.split("/")[0]
        for target in targets:
            other = target.split("/")[0]
            if "/" in target and other != room and target not in CONTRACTS:
                edges.setdefault(room, {})[other] = f"{name} -> {target}"
    found, done = [], set()

    def visit(room, way):
        if room in way:
            ring = way[way.index(room):] + [room]
            found.append("rooms include each other: " + ", ".join(edges[a][b] for a, b in zip(ring, ring[1:])))
            return
        if room in done:
            return
        for other in edges.get(room, {}):
            visit(other, way + [room])
        done.add(room)

    for room in list(edges):
        visit(room, [])
    return found


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    broken, warnings = check(root)
    for line in warnings:
        print("warning:", line)
    for line in broken:
        print(line)
    print(f"architecture: {len(broken)} broken rules, {len(warnings)} warnings")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
