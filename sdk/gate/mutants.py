#!/usr/bin/env python3
"""mutants.py <include folder> - changes a copy of abi.h in many ways and holds the gate to what it should say.
mutants.py <include folder> --grow <folder> - writes headers in which every struct that may grow has grown."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
GOOD, BAD = 0, 1

# name, verdict, text, replacement
MUTANTS = [
    ("unchanged", GOOD, None, None),
    ("a comment changes", GOOD, "/* appends */", "/* adds */"),
    ("a field is appended", GOOD, "the operator's weight */\n}", "the operator's weight */\n    int64_t cache_hits;\n}"),
    ("a function is appended to a table", GOOD, "field) PORTOLAN_NX;\n} portolan_http;",
     "field) PORTOLAN_NX;\n    void (*trailer)(portolan_handle call, portolan_str name) PORTOLAN_NX;\n} portolan_http;"),
    ("a function is appended to a face", GOOD, "} portolan_generator;",
     "    void (*hint)(void *run, const portolan_call *) PORTOLAN_NX;\n} portolan_generator;"),
    ("an event kind is added", GOOD, "PORTOLAN_EV_LOST = 15 ", "PORTOLAN_EV_LOST = 15, PORTOLAN_EV_NEW = 16 "),
    ("an operation is added", GOOD, "PORTOLAN_OP_HEALTH = 13 ", "PORTOLAN_OP_HEALTH = 13, PORTOLAN_OP_VIDEO = 14 "),
    ("a face is added", GOOD, '#define PORTOLAN_GENERATOR "portolan.generator/1"',
     '#define PORTOLAN_GENERATOR "portolan.generator/1"\n#define PORTOLAN_SIGNER "portolan.signer/1"'),
    ("every struct that may grow does", GOOD, None, None),
    ("a field is inserted", BAD, "portolan_str id, endpoint, model;", "portolan_str id, endpoint, region, model;"),
    ("a field is removed", BAD, "    int64_t spend_left_nusd; /* -1: no limit */\n", ""),
    ("two fields are swapped", BAD, "double error_rate, quality, headroom;", "double quality, error_rate, headroom;"),
    ("a field gets wider", BAD, "uint32_t in_flight, recent, weight;", "uint64_t in_flight; uint32_t recent, weight;"),
    ("a field changes its sign", BAD, "int64_t retry_after_us;", "uint64_t retry_after_us;"),
    ("a pointer becomes a value", BAD, "const portolan_reply *reply;", "portolan_reply reply;"),
    ("a list of pointers becomes an array", BAD, "const portolan_turn *const *turns;", "const portolan_turn *turns;"),
    ("a frozen struct grows", BAD, "{ const char *data; size_t size; }", "{ const char *data; size_t size; uint32_t hash; }"),
    ("the handle gets narrower", BAD, "typedef uint64_t portolan_handle;", "typedef uint32_t portolan_handle;"),
    ("the status gets wider", BAD, "typedef int32_t portolan_status;", "typedef int64_t portolan_status;"),
    ("a parameter changes", BAD, "(*skip)(portolan_handle call, size_t index,", "(*skip)(portolan_handle call, uint32_t index,"),
    ("a parameter is added", BAD, "(*framing)(portolan_handle call, int32_t kind)", "(*framing)(portolan_handle call, int32_t kind, int32_t flags)"),
    ("a result changes", BAD, "uint32_t (*cancelled)(", "int32_t (*cancelled)("),
    ("two functions of one type are swapped", BAD, "(*header)(portolan_handle call, portolan_str name, portolan_str value)",
     "(*edit)(portolan_handle call, portolan_str pointer, portolan_str json)"),
    ("struct_size moves", BAD, "    uint32_t struct_size;\n    uint32_t attempt; ", "    uint32_t attempt;\n    uint32_t struct_size; "),
    ("an enumerator changes its value", BAD, "PORTOLAN_EV_TEXT = 2,", "PORTOLAN_EV_TEXT = 22,"),
    ("an enumerator goes", BAD, "    PORTOLAN_EV_REASONING = 3,  /* data */\n", ""),
    ("a bit moves", BAD, "PORTOLAN_FEATURE_FILES = 16,", "PORTOLAN_FEATURE_FILES = 17,"),
    ("the last function of a table goes", BAD, "    void (*later)(portolan_handle call, int64_t us) PORTOLAN_NX;\n", ""),
    ("a face is renamed", BAD, '"portolan.policy/1"', '"portolan.policy/2"'),
    ("the entry is renamed", BAD, "#define PORTOLAN_ENTRY portolan_plugin_v1", "#define PORTOLAN_ENTRY portolan_plugin_v2"),
    ("a function may throw", BAD, "(*cancelled)(portolan_handle call) PORTOLAN_NX;", "(*cancelled)(portolan_handle call);"),
    ("a new draft number without a new freeze", BAD, "#define PORTOLAN_DRAFT 2", "#define PORTOLAN_DRAFT 3"),
]


def grown(text):
    def append(m):
        return m[0] if "struct_size" not in m[1] else f"typedef struct portolan_{m[2]} {{{m[1]}\n    int64_t grown_{m[2]};\n}} portolan_{m[2]};"

    return re.sub(r"typedef struct portolan_\w+ \{(.*?)\} portolan_(\w+);", append, text, flags=re.S)


def main():
    if sys.argv[2:3] == ["--grow"]:
        shutil.copytree(sys.argv[1], sys.argv[3], dirs_exist_ok=True)
        header = pathlib.Path(sys.argv[3], "portolan/abi.h")
        header.write_text(grown(header.read_text()))
        return 0
    include, wrong = pathlib.Path(sys.argv[1]), 0
    for name, verdict, old, new in MUTANTS:
        with tempfile.TemporaryDirectory() as tmp:
            shutil.copytree(include, tmp + "/include")
            header = pathlib.Path(tmp, "include/portolan/abi.h")
            text = header.read_text()
            if name.startswith("every struct"):
                header.write_text(grown(text))
            if old is not None:
                if text.count(old) != 1:
                    print(f"stale mutant, text found {text.count(old)} times: {name}")
                    wrong += 1
                    continue
                if name.startswith("two functions"):
                    text = text.replace(new, "@")
                header.write_text(text.replace(old, new).replace("@", old))
            run = subprocess.run([str(HERE / "check.sh"), tmp + "/include"], capture_output=True, text=True)
            said = (run.stdout or run.stderr).splitlines()
            right = run.returncode == verdict
            wrong += not right
            print(f"{'ok    ' if right else 'WRONG '} {'passes' if run.returncode == 0 else 'fails '}  {name:44} {said[0][:100] if said else ''}")
    print(f"{len(MUTANTS)} variants, {wrong} judged wrongly")
    return wrong != 0


sys.exit(main())
