#!/usr/bin/env python3
"""programs.py codex|claude: a command-line program against the real binary, in front of upstreams of other dialects. It runs a command and says what came out."""

import os
import pathlib
import subprocess
import sys
import tempfile

from upstreams import SPEAKERS, Upstreams

from harness import BINARY, ROOT, SKIPPED, SLOWNESS, Portolan, settings

CLIENTS = pathlib.Path(os.environ.get("PORTOLAN_CLIENTS", ROOT / "build" / "clients"))
PROGRAMS = CLIENTS / "programs" / "node_modules" / ".bin"
OWN = {"codex": "responses", "claude": "messages"}


def codex(port, model):
    provider = f'{{name="portolan", base_url="http://127.0.0.1:{port}/v1", env_key="PORTOLAN_KEY", wire_api="responses", request_max_retries=0, stream_max_retries=0}}'
    return [str(PROGRAMS / "codex"), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-c", f"model_providers.portolan={provider}",
            "-c", 'model_provider="portolan"', "--model", model, "weather?"], {"PORTOLAN_KEY": "sk-anything"}


def claude(port, model):
    names = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
    return [str(PROGRAMS / "claude"), "-p", "weather?", "--model", model, "--allowedTools", "Bash", "--output-format", "text"], {
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}", "ANTHROPIC_API_KEY": "sk-anything", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1", **dict.fromkeys(names, model)}


def run(program, port, model, folder):
    """(exit code, what it printed) of the program asked for the weather."""
    command, more = {"codex": codex, "claude": claude}[program](port, model)
    environment = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_API_KEY", "_PROXY"))}
    environment |= {"HOME": folder, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", **more}
    done = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOWNESS)
    return done.returncode, done.stdout + done.stderr


def main():
    program = sys.argv[1]
    if not BINARY.exists():
        print(f"SKIPPED: {BINARY} is not built")
        return SKIPPED
    if not (PROGRAMS / program).exists():
        print(f"SKIPPED: {program} is not in {PROGRAMS} (PORTOLAN_CLIENT_PROGRAMS=1 ./build.sh test installs it: 400 MB)")
        return SKIPPED
    upstreams, wrong = Upstreams(SPEAKERS), []
    try:
        with Portolan(settings(*upstreams.entries)) as host:
            for up in (u for u in SPEAKERS if u != OWN[program]):
                with tempfile.TemporaryDirectory(prefix="portolan-program-") as folder:
                    code, said = run(program, host.port, f"{up}/work", folder)
                    if code != 0 or "The tool said:" not in said or "18 degrees" not in said.split("The tool said:")[-1]:
                        wrong.append(f"{up} upstream: exit {code}: {said[-1500:]}")
                    code, said = run(program, host.port, f"{up}-bad/bad", folder)
                    if code == 0 or "temperature is too high" not in said:
                        wrong.append(f"{up} upstream, a 400: exit {code}: {said[-600:]}")
            wrong += upstreams.failures[:5]
            print(*(wrong or [f"{program}: {len(SPEAKERS) - 1} upstreams"]), sep="\n")
            return 1 if wrong else 0
    finally:
        upstreams.close()


if __name__ == "__main__":
    sys.exit(main())
