#!/usr/bin/env python3
"""Inputs to begin with for each provider's harness: `provider_seeds.py FOLDER` writes FOLDER/provider_<plugin>_fuzz/*.

From the plugins' wire cases and, where they are, from recorded traffic (PORTOLAN_SHARED, default ../shared). The form is that of provider_fuzz.cpp.
"""

import hashlib
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDED = pathlib.Path(os.environ.get("PORTOLAN_SHARED", ROOT.parent / "shared")) / "data" / "recordings"
SSE, WHOLE, LINE, RAW, AWS_BYTES, AWS_FRAMES, REFUSED, REQUEST = range(8)
KINDS = {"sse": SSE, "whole": WHOLE, "line": LINE, "raw": RAW, "aws": AWS_FRAMES}
OPS = ["", "chat", "completions", "embeddings", "moderations", "rerank", "image_generate", "image_edit", "speech", "transcribe", "responses", "count_tokens", "models"]
SECOND = {"vertex", "vertex-anthropic"}  # the later one of two components, by name
LONGEST = 6 * 1024  # bytes: a longer one is tried too seldom

# Which plugin reads what was recorded as this API, and as which operation.
READERS = {
    "chat": (("openai_compatible", "azure_openai", "mistral"), "chat"),
    "responses": (("openai_responses",), "chat"),
    "messages": (("anthropic",), "chat"),
    "rawPredict": (("anthropic",), "chat"),
    "generateContent": (("gemini",), "chat"),
    "streamGenerateContent": (("gemini",), "chat"),
    "converse": (("bedrock",), "chat"),
    "converse-stream": (("bedrock",), "chat"),
    "cohere-chat": (("cohere",), "chat"),
    "ollama-native": (("ollama",), "chat"),
    "embeddings": (("openai_compatible", "gemini", "cohere", "mistral", "ollama"), "embeddings"),
    "rerank": (("cohere",), "rerank"),
    "count_tokens": (("anthropic", "gemini"), "count_tokens"),
}


def text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(line, str) for line in value):
        return "".join(line + "\n" for line in value)
    return json.dumps(value, ensure_ascii=False)


class Seeds:
    def __init__(self, folder):
        self.folder, self.written = pathlib.Path(folder), 0

    def add(self, plugin, what, op, stream, body, native=False, component=""):
        if op not in OPS or len(body) > LONGEST:
            return
        request = int(stream) | native << 1 | OPS.index(op) << 2 | (component in SECOND) << 6
        data = bytes([what, request, len(body) % 251, 255]) + body.encode(errors="replace")
        at = self.folder / f"provider_{plugin}_fuzz" / hashlib.sha1(data).hexdigest()[:16]
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(data)
        self.written += 1

    def reply(self, plugin, op, stream, reply, native=False, component=""):
        if "frames" in reply:
            body = "\n".join(f"{name} {text(payload)}" for name, payload in reply["frames"])
            return self.add(plugin, AWS_FRAMES, op, stream, body, native, component)
        return self.add(plugin, KINDS.get(reply.get("kind", "sse"), SSE), op, stream, text(reply["body"]), native, component)

    def cases(self):
        for path in sorted(ROOT.glob("plugins/*/wire/*.json")):
            plugin = path.parent.parent.name
            for case in json.loads(path.read_text()):
                asked, about = case.get("request"), case.get("component", "")
                if not asked:
                    continue
                op, stream, native = asked.get("op", "chat"), asked.get("stream", False), asked.get("native", False)
                if "body" in case.get("reply", {}) or "frames" in case.get("reply", {}):
                    self.reply(plugin, op, stream, case["reply"], native, about)
                if "refused" in case:
                    self.add(plugin, REFUSED, op, stream, text(case["refused"]["body"]), native, about)
                if "json" in asked:
                    self.add(plugin, REQUEST, op, stream, text(asked["json"]), native, about)

    def recorded(self):
        for path in sorted(RECORDED.glob("*/*.json")):
            case = json.loads(path.read_text())
            plugins, op = READERS.get(case["api"], ((), ""))
            answer, stream = case["response"], case["stream"]
            whole = not stream and "body" in answer
            if not whole and "body_text" not in answer and "events_decoded" not in answer:
                continue
            for plugin in plugins:
                if answer["status"] >= 300:
                    self.add(plugin, REFUSED, op, stream, text(answer.get("body", answer.get("body_text", ""))))
                elif case["api"] == "converse-stream":
                    frames = [(e["event"], e["payload"]) for e in answer.get("events_decoded", [])]
                    frames = frames or [next(iter(json.loads(line).items())) for line in answer["body_text"].splitlines()]
                    self.reply(plugin, op, True, {"frames": frames})
                else:
                    kind = "whole" if whole else "line" if case["api"] == "ollama-native" else "sse"
                    self.reply(plugin, op, stream, {"kind": kind, "body": answer["body"] if whole else answer["body_text"]})


def main():
    seeds = Seeds(sys.argv[1])
    seeds.cases()
    if RECORDED.is_dir():
        seeds.recorded()
    else:
        print(f"{RECORDED} is absent: seeds come from the wire cases alone", file=sys.stderr)
    print(f"{seeds.written} seeds", file=sys.stderr)


if __name__ == "__main__":
    main()
