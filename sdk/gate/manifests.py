#!/usr/bin/env python3
"""manifests.py <schema> <plugin.so>... - every manifest, as it lies in the file, against the schema.
Exit status 0: all valid; 77: the jsonschema module (Debian: python3-jsonschema) is not here; else the first mistake."""
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import jsonschema
except ImportError:
    print("SKIPPED: no python3-jsonschema here, manifests not checked")
    sys.exit(77)

with open(sys.argv[1], encoding="utf-8") as f:
    check = jsonschema.Draft202012Validator(json.load(f))
for path in sys.argv[2:]:
    with tempfile.TemporaryDirectory() as folder: # never /dev/stdout: run by root, a failing objcopy takes the file away
        out = pathlib.Path(folder, "manifest")
        subprocess.run(["objcopy", "-O", "binary", "--only-section=.portolan.manifest", path, out], check=True)
        manifest = json.loads(out.read_bytes().rstrip(b"\0"))
    for error in check.iter_errors(manifest):
        sys.exit(f"{path}: {error.json_path}: {error.message}")
    for component in manifest["components"].values():
        jsonschema.Draft202012Validator.check_schema(component["config"])
        for key, rule in component["config"].get("properties", {}).items():
            if "default" in rule:
                jsonschema.Draft202012Validator(rule).validate(rule["default"])
print(f"{len(sys.argv) - 2} manifests are valid")
