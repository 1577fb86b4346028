#!/usr/bin/env python3
"""run.py SCRIPT: a client library's script (NAME_node.mjs, NAME_python.py) against the real binary: echo provider, an upstream that misbehaves."""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from harness import BINARY, ROOT, SKIPPED, SLOWNESS, Portolan, Upstream, answer, delta, provider, settings  # noqa: E402

CLIENTS = pathlib.Path(os.environ.get("PORTOLAN_CLIENTS", ROOT / "build" / "clients"))
PACKAGES = {"openai": "openai", "responses": "openai", "anthropic": "@anthropic-ai/sdk"}
TOOL = {"id": "call_abc123", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}


def tool_stream():
    first = {"index": 0, "id": TOOL["id"], "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    yield {**delta(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": None, "tool_calls": [first]}, "finish_reason": None}]}
    for piece in ('{"city"', ':"Pa', 'ris"}'):
        yield {**delta(), "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, "finish_reason": None}]}
    yield delta(finish="tool_calls")


def text_stream(text):
    yield {**delta(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    for piece in text.split(" "):
        yield delta(piece + " ")
    yield delta(finish="stop")


def main():
    name = sys.argv[1]
    library = PACKAGES[name.split("_")[0]]
    if not BINARY.exists():
        print(f"SKIPPED: {BINARY} is not built")
        return SKIPPED
    if name.endswith(".mjs"):
        if not (CLIENTS / "node" / "node_modules" / library).is_dir():
            print(f"SKIPPED: {library} for Node is not in {CLIENTS / 'node'} (./build.sh test installs it where a registry is reachable)")
            return SKIPPED
        # A script finds libraries beside itself only, so the one that is tested is copied to where they are.
        script = CLIENTS / "node" / name
        script.write_bytes((HERE / name).read_bytes())
        command = ["node", str(script)]
    else:
        python = CLIENTS / "python" / "bin" / "python"
        module = name.split("_")[0]
        if not python.exists() or subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
            print(f"SKIPPED: {module} for Python is not in {CLIENTS / 'python'} (./build.sh test installs it where a registry is reachable)")
            return SKIPPED
        command = [str(python), "-B", str(HERE / name)]

    gone = []

    def behave(call):
        if call.path.endswith("/gone"):
            return call.reply(200, {"gone": gone})
        body = call.json
        model = body["model"]
        streamed = body.get("stream", False)
        if model == "tools" and body.get("tools"):
            if any(m["role"] == "tool" for m in body["messages"]):
                reply = [m["content"] for m in body["messages"] if m["role"] == "tool"][-1]
                if not streamed:
                    return call.reply(200, answer("The tool said: " + reply))
                chunks = text_stream("The tool said: " + reply)
            elif not streamed:
                value = answer(None, "tool_calls")
                value["choices"][0]["message"]["tool_calls"] = [TOOL]
                return call.reply(200, value)
            else:
                chunks = tool_stream()
        elif model == "json":
            assert body["response_format"]["type"] in ("json_object", "json_schema")
            return call.reply(200, answer('{"city":"Paris","population":2}'))
        elif model == "vision":
            parts = body["messages"][0]["content"]
            assert [p["type"] for p in parts] == ["text", "image_url"], parts
            return call.reply(200, answer("an image of " + parts[1]["image_url"]["url"][:22]))
        elif model == "bad":
            return call.reply(400, {"error": {"message": "temperature is too high", "type": "invalid_request_error", "param": "temperature", "code": None}})
        elif model == "busy":
            return call.reply(429, {"error": {"message": "slow down", "type": "rate_limit_error"}}, headers={"retry-after": "1"})
        elif model == "broken":
            call.start()
            call.event(delta("half of "))
            return call.cut()
        elif model == "endless":
            call.start()
            call.event(delta("first"))
            at = call.wait_gone(10)
            gone.append(at is not None)
            return None
        elif model == "reasoning":
            chunks = [{**delta(), "choices": [{"index": 0, "delta": {"role": "assistant", "reasoning_content": "hm"}, "finish_reason": None}]},
                      delta("so"), delta(finish="stop")]
        elif not streamed:
            return call.reply(200, answer("hello from upstream"))
        else:
            chunks = text_stream("hello from upstream")
        call.start()
        for chunk in chunks:
            call.event(chunk)
        if (body.get("stream_options") or {}).get("include_usage"):
            call.event({**delta(), "choices": [], "usage": answer()["usage"]})
        call.event(b"[DONE]")
        call.end()
        return None

    with Upstream(behave) as upstream:
        # What fails rests its provider, so it has one of its own.
        served = {"up": ["plain", "tools", "json", "vision", "reasoning", "endless"], "bad": ["bad"], "busy": ["busy"], "broken": ["broken"]}
        providers = [provider(upstream.base, name=name, models=models) for name, models in served.items()]
        with Portolan(settings(*providers, {"name": "echo", "type": "echo"})) as host:
            environment = {**os.environ, "PORTOLAN_BASE": f"http://127.0.0.1:{host.port}/v1", "UPSTREAM_GONE": f"{upstream.base}/gone",
                           "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
            code = subprocess.run(command, env=environment, timeout=240 * SLOWNESS).returncode
            if upstream.failures:
                print("the upstream saw something wrong:", upstream.failures)
                return 1
            if code:
                print(host.output()[-3000:])
            return code


if __name__ == "__main__":
    sys.exit(main())
