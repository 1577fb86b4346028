#!/usr/bin/env python3
"""Runs one client library's fault script (openai_node, openai_python, anthropic_node, anthropic_python) against the real binary and faultd, in the
library's own dialect from end to end: retries of library and host together, over the faults that clients get wrong. The scripts get FAULT_CASES: [{"name", "model", "stream", "answers"}]."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))
from faultd import Faultd  # noqa: E402
from harness import BINARY, ROOT, SKIPPED, SLOWNESS, Portolan, provider, settings  # noqa: E402

CLIENTS = pathlib.Path(os.environ.get("PORTOLAN_CLIENTS", ROOT / "build" / "clients"))

LIMIT = {"connect_ms": 500, "first_byte_ms": 500, "first_token_ms": 500, "idle_ms": 500}
MOST_CALLS = 3
# (plan, streamed or not, does it end in an answer)
BROKEN = [f"{fault}@{phase}" for fault in ("reset", "close", "stall", "garbage", "eof", "comments", "bad_json", "error_server", "error_overloaded")
          for phase in ("non_content", "after_content")]
CASES = ([(plan, True, False) for plan in BROKEN] +
         [(f"{fault}@{phase}", True, True) for fault in ("reset", "close", "eof", "stall") for phase in ("after_finish", "before_done")] +
         [(f"{fault}@{phase}", False, False) for fault in ("reset", "close", "stall") for phase in ("before_headers", "headers_only", "after_content")] +
         [(plan, stream, False) for stream in (False, True) for plan in ("503", "500", "429", "401", "400", "408", "html_200", "empty_200", "error_200", "text_200")] +
         [(plan, stream, True) for stream in (False, True) for plan in ("503, ok", "reset@before_headers, ok", "html_200, ok", "ok")])


def command_for(script):
    """None: the library is not there."""
    library, language = script.split("_")
    if language == "python":
        python = CLIENTS / "python" / "bin" / "python"
        there = python.exists() and subprocess.run([python, "-c", f"import {library}"], capture_output=True).returncode == 0
        return [str(python), "-B", str(HERE / f"{script}.py")] if there else None
    if not (CLIENTS / "node" / "node_modules" / {"anthropic": "@anthropic-ai/sdk"}.get(library, library)).is_dir():
        return None
    return ["node", shutil.copy(HERE / f"{script}.mjs", CLIENTS / "node" / f"faults_{script}.mjs")]  # libraries are found beside the script only


def main():
    script = sys.argv[1]
    command = command_for(script) if BINARY.exists() else None
    anthropic = script.startswith("anthropic")
    if not command:
        print(f"SKIPPED: needs {BINARY} and the library in {CLIENTS} (./build.sh test)")
        return SKIPPED
    with Faultd() as upstream:
        timeouts = {k: v * SLOWNESS for k, v in LIMIT.items()}
        providers, cases = [], []
        for number, (plan, stream, answers) in enumerate(CASES):
            name = f"c{number}"
            base = upstream.own_base()
            speaks = {"type": "anthropic"} if anthropic else {}
            providers.append(provider(base.removesuffix("/v1") if anthropic else base, name=name, **speaks, models=["m"], timeouts=timeouts, extra_headers={"x-fault": plan, "x-fault-key": name}))
            cases.append({"name": f"{plan} {'streamed' if stream else 'whole'}", "model": f"{name}/m", "stream": stream, "answers": answers})
        with Portolan(settings(*providers)) as host:
            environment = {**os.environ, "PORTOLAN_BASE": f"http://127.0.0.1:{host.port}/v1", "FAULT_CASES": json.dumps(cases),
                           "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
            code = subprocess.run(command, env=environment, timeout=240 * SLOWNESS).returncode
            for case in cases:
                calls = upstream.seen(case["model"].split("/")[0])["calls"]
                if not 1 <= calls <= MOST_CALLS:
                    print(f"{case['name']}: the upstream was called {calls} times, host and library together")
                    code = 1
            return code


if __name__ == "__main__":
    sys.exit(main())
