#!/usr/bin/env python3
"""run.py SCRIPT: a client library's script against the real binary, in front of one scripted upstream of every dialect (upstreams.py)."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from upstreams import SPEAKERS, Upstreams

from harness import BINARY, ROOT, SKIPPED, SLOWNESS, Portolan, settings

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = pathlib.Path(os.environ.get("PORTOLAN_CLIENTS", ROOT / "build" / "clients"))
NODE_NEEDED = 20
# script -> what it needs
PACKAGES = {"openai_chat": "openai", "openai_responses": "openai", "anthropic": "@anthropic-ai/sdk", "google_genai": "@google/genai", "ai_sdk": "ai",
            "langchain": "@langchain/openai", "agents": "@openai/agents", "openai_python": "openai", "anthropic_python": "anthropic"}


def node_command(name):
    """(command, None) or (None, why not)."""
    if not (CLIENTS / "node" / "node_modules" / PACKAGES[name]).is_dir():
        return None, f"{PACKAGES[name]} for Node is not in {CLIENTS / 'node'} (./build.sh test installs it where a registry is reachable)"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    if int(re.match(r"v(\d+)", version).group(1)) < NODE_NEEDED:
        return None, f"{PACKAGES[name]} needs Node {NODE_NEEDED}, this is {version.strip()}"
    there = CLIENTS / "node" / "cross" # a script finds libraries in the folders above it only
    there.mkdir(exist_ok=True)
    for script in (f"{name}.mjs", "common.mjs"):
        shutil.copyfile(HERE / script, there / script)
    return ["node", "--test", "--test-concurrency=1", str(there / f"{name}.mjs")], None


def python_command(name):
    python = CLIENTS / "python" / "bin" / "python"
    if not python.exists() or subprocess.run([python, "-c", f"import {PACKAGES[name]}"], capture_output=True).returncode:
        return None, f"{PACKAGES[name]} for Python is not in {CLIENTS / 'python'} (./build.sh test installs it where a registry is reachable)"
    return [str(python), "-B", str(HERE / f"{name}.py")], None


def main():
    name, kind = sys.argv[1].rsplit(".", 1)
    if not BINARY.exists():
        print(f"SKIPPED: {BINARY} is not built")
        return SKIPPED
    command, missing = node_command(name) if kind == "mjs" else python_command(name)
    if missing:
        print(f"SKIPPED: {missing}")
        return SKIPPED
    upstreams = Upstreams(SPEAKERS)
    try:
        with Portolan(settings(*upstreams.entries)) as host:
            environment = {**os.environ, "PORTOLAN_BASE": f"http://127.0.0.1:{host.port}/v1", "PORTOLAN_UPSTREAMS": ",".join(SPEAKERS), "no_proxy": "127.0.0.1",
                           "NO_PROXY": "127.0.0.1", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
            code = subprocess.run(command, env=environment, timeout=240 * SLOWNESS).returncode
            if upstreams.failures:
                print("an upstream saw something wrong:", *upstreams.failures[:10], sep="\n")
                return 1
            if code:
                print(host.output()[-3000:])
            return code
    finally:
        upstreams.close()


if __name__ == "__main__":
    sys.exit(main())
