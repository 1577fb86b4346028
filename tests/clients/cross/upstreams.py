"""Scripted upstreams, one for each dialect that a provider plugin speaks. What they say is one script; how they hear and say it is theirs.

The script goes by the model's name: `tools` calls get_weather for Paris, then for Rome, then says what the results were; `json` answers with an object;
`reasoning` thinks first; `work` has a program run a command and says what came out; `bad`, `busy`, `down` are a 400, a 429, a 500; `broken` ends in the middle; anything else says hello."""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "e2e"))
from harness import Upstream  # noqa: E402
from test_replay_providers import aws_frame  # noqa: E402

CITIES = ("Paris", "Rome")
ERRORS = {"bad": (400, "temperature is too high"), "busy": (429, "slow down"), "down": (500, "something broke")}
INPUT, OUTPUT = 11, 7
# Claude Code's and Codex's ways to run a command.
PROGRAM_TOOLS = {"Bash": {"command": "echo 18 degrees", "description": "weather"}, "exec_command": {"cmd": "echo 18 degrees"},
                 "shell_command": {"command": "echo 18 degrees"}, "shell": {"command": ["echo", "18 degrees"]}}


class Asked:
    """What a request says, in no dialect."""

    def __init__(self, model, stream, tools=(), results=(), as_json=False):
        self.model, self.stream, self.tools, self.results, self.as_json = model, stream, list(tools), list(results), as_json


class Said:
    def __init__(self, text="", reasoning="", call=None):
        self.text, self.reasoning, self.call = text, reasoning, call  # call: (id, name, arguments)

    def pieces(self):
        return re.findall(r"\S+\s*", self.text)


def script(asked):
    if asked.model == "tools" and asked.tools:
        assert asked.tools == ["get_weather"], asked.tools
        if len(asked.results) < len(CITIES):
            n = len(asked.results)
            return Said(call=(f"call_{n}abcdef", "get_weather", {"city": CITIES[n]}))
        return Said("The tool said: " + ", ".join(asked.results))
    if asked.model == "json" and asked.tools == ["json"]:  # AI SDK's way where it does not know the model: a tool whose input is the answer
        return Said(call=("call_json12", "json", {"city": "Paris", "population": 2}))
    if asked.model == "json":
        assert asked.as_json, "no structured output asked for"
        return Said('{"city":"Paris","population":2}')
    if asked.model == "work" and asked.tools:  # the programs bring tools of their own
        name = next((t for t in PROGRAM_TOOLS if t in asked.tools), None)
        assert name, f"no tool to run a command with in {asked.tools}"
        return Said("The tool said: " + asked.results[-1]) if asked.results else Said(call=("call_0abcdef", name, PROGRAM_TOOLS[name]))
    return Said("hello from upstream", "hm, well" if asked.model == "reasoning" else "")


def joined(content):
    """Text of a string or a list of parts."""
    return content if isinstance(content, str) else "".join(p.get("text") or "" for p in content or [])


def matched(calls, results):
    """Texts of the results, each of which must name a call that was made."""
    for key, _ in results:
        assert key in calls, f"a result of {key!r}, calls are {calls}"
    return [text for _, text in results]


class Speaker:
    """One upstream's way; subclasses say how requests are read and answers look."""

    stream_type, kind, base_path = "text/event-stream", "", ""

    def entry(self, name, root, models):
        return {"name": name, "type": self.kind, "base_url": root + self.base_path, "api_key": "sk-test", "models": models, "circuit_breaker": {"failure_threshold": 1000}}

    def answer(self, call):
        asked = self.hear(call)
        if asked.model in ERRORS:
            status, message = ERRORS[asked.model]
            body, headers = self.error(status, message)
            return call.reply(status, body, headers={**headers, **({"retry-after": "1"} if status == 429 else {})})
        said = script(asked)
        if not asked.stream:
            return call.reply(200, self.whole(said)) if asked.model != "broken" else call.cut()
        call.start(self.stream_type)
        frames = list(self.stream(said))
        if asked.model == "broken":
            for frame in frames[:len(frames) // 2]:
                call.chunk(frame)
            return call.cut()
        for frame in frames:
            call.chunk(frame)
        return call.end()

    def error(self, status, message):
        return {"error": {"message": message, "type": "invalid_request_error" if status == 400 else "server_error", "param": None, "code": None}}, {}


def sse(value, event=None):
    return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


class ChatSpeaker(Speaker):
    kind, base_path = "openai-compatible", "/v1"

    def hear(self, call):
        body = call.json
        calls = [c["id"] for m in body["messages"] for c in m.get("tool_calls") or []]
        results = matched(calls, [(m["tool_call_id"], joined(m["content"])) for m in body["messages"] if m["role"] == "tool"])
        return Asked(body["model"], body.get("stream", False), [t["function"]["name"] for t in body.get("tools") or []], results, "response_format" in body)

    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}

    def whole(self, said):
        message = {"role": "assistant", "content": said.text or None}
        if said.reasoning:
            message["reasoning_content"] = said.reasoning
        if said.call:
            message["tool_calls"] = [{"id": said.call[0], "type": "function", "function": {"name": said.call[1], "arguments": json.dumps(said.call[2])}}]
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "usage": self.usage,
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if said.call else "stop"}]}

    def stream(self, said):
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

        def chunk(delta, finish=None):
            return sse({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

        yield chunk({"role": "assistant", "content": ""})
        if said.reasoning:
            yield chunk({"reasoning_content": said.reasoning})
        for piece in said.pieces():
            yield chunk({"content": piece})
        if said.call:
            arguments = json.dumps(said.call[2])
            yield chunk({"tool_calls": [{"index": 0, "id": said.call[0], "type": "function", "function": {"name": said.call[1], "arguments": ""}}]})
            for piece in (arguments[:5], arguments[5:]):
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        yield chunk({}, "tool_calls" if said.call else "stop")
        yield sse({**head, "choices": [], "usage": self.usage})
        yield b"data: [DONE]\n\n"


class MistralSpeaker(ChatSpeaker):
    kind = "mistral"

    def hear(self, call):
        for message in call.json["messages"]:
            assert all(re.fullmatch("[a-zA-Z0-9]{9}", c["id"]) for c in message.get("tool_calls") or []), message
        return super().hear(call)


class MessagesSpeaker(Speaker):
    kind = "anthropic"

    def hear(self, call):
        body = call.json
        assert body["max_tokens"] > 0 and call.headers["anthropic-version"]
        blocks = [b for m in body["messages"] if isinstance(m["content"], list) for b in m["content"]]
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        results = matched(calls, [(b["tool_use_id"], joined(b.get("content"))) for b in blocks if b["type"] == "tool_result"])
        tools = [t["name"] for t in body.get("tools") or []]
        as_json = "format" in body.get("output_config", {}) or "json_answer" in tools
        return Asked(body["model"], body.get("stream", False), [t for t in tools if t != "json_answer"], results, as_json)

    def error(self, status, message):
        kind = {400: "invalid_request_error", 429: "rate_limit_error", 500: "api_error"}[status]
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}, {}

    def blocks(self, said):
        if said.reasoning:
            yield {"type": "thinking", "thinking": said.reasoning, "signature": "c2VhbA=="}
        if said.text:
            yield {"type": "text", "text": said.text}
        if said.call:
            yield {"type": "tool_use", "id": said.call[0], "name": said.call[1], "input": said.call[2]}

    def whole(self, said):
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(self.blocks(said)), "stop_reason": "tool_use" if said.call else "end_turn",
                "stop_sequence": None, "usage": {"input_tokens": INPUT, "output_tokens": OUTPUT}}

    def stream(self, said):
        def event(value):
            return sse(value, value["type"])

        yield event({"type": "message_start", "message": {**self.whole(Said()), "stop_reason": None, "usage": {"input_tokens": INPUT, "output_tokens": 1}}})
        for n, block in enumerate(self.blocks(said)):
            kind = block["type"]
            empty = {"thinking": {"type": "thinking", "thinking": "", "signature": ""}, "text": {"type": "text", "text": ""}}.get(kind, {**block, "input": {}})
            yield event({"type": "content_block_start", "index": n, "content_block": empty})
            if kind == "text":
                deltas = [{"type": "text_delta", "text": p} for p in said.pieces()]
            elif kind == "thinking":
                deltas = [{"type": "thinking_delta", "thinking": said.reasoning}, {"type": "signature_delta", "signature": "c2VhbA=="}]
            else:
                arguments = json.dumps(block["input"])
                deltas = [{"type": "input_json_delta", "partial_json": p} for p in ("", arguments[:5], arguments[5:])]
            for delta in deltas:
                yield event({"type": "content_block_delta", "index": n, "delta": delta})
            yield event({"type": "content_block_stop", "index": n})
        yield event({"type": "message_delta", "delta": {"stop_reason": "tool_use" if said.call else "end_turn", "stop_sequence": None}, "usage": {"output_tokens": OUTPUT}})
        yield event({"type": "message_stop"})


class GeminiSpeaker(Speaker):
    kind = "gemini"

    def hear(self, call):
        model, method = re.search(r"/models/([^:]+):(\w+)", call.path).groups()
        body = call.json
        parts = [(c["role"], p) for c in body["contents"] for p in c["parts"]]
        assert body["contents"][0]["role"] == "user"
        calls = [p["functionCall"]["name"] for role, p in parts if role == "model" and "functionCall" in p]
        results = [p["functionResponse"] for role, p in parts if role == "user" and "functionResponse" in p]
        assert [r["name"] for r in results] == calls, f"results {results} of {calls}"
        texts = [r["response"].get("result", r["response"].get("output", r["response"])) for r in results]
        tools = [f["name"] for t in body.get("tools") or [] for f in t.get("functionDeclarations") or []]
        config = body.get("generationConfig") or {}
        return Asked(model, method.startswith("stream"), tools, [t if isinstance(t, str) else json.dumps(t) for t in texts], config.get("responseMimeType") == "application/json")

    def error(self, status, message):
        return {"error": {"code": status, "message": message, "status": {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL"}[status]}}, {}

    def reply(self, parts, finish):
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0, **({"finishReason": finish} if finish else {})}
        return {"candidates": [candidate], "usageMetadata": {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT}, "modelVersion": "m"}

    def parts(self, said):
        if said.reasoning:
            yield {"text": said.reasoning, "thought": True}
        for piece in said.pieces():
            yield {"text": piece}
        if said.call:  # without an id, as most of them come
            yield {"functionCall": {"name": said.call[1], "args": said.call[2]}, "thoughtSignature": "c2lnbmF0dXJl"}

    def whole(self, said):
        return self.reply(list(self.parts(said)), "STOP")

    def stream(self, said):
        parts = list(self.parts(said))
        for n, part in enumerate(parts):
            yield b"data: " + json.dumps(self.reply([part], "STOP" if n + 1 == len(parts) else None)).encode() + b"\r\n\r\n"


class ResponsesSpeaker(Speaker):
    kind, base_path = "openai-responses", "/v1"

    def hear(self, call):
        body = call.json
        items = body["input"] if isinstance(body["input"], list) else []
        calls = [i["call_id"] for i in items if i.get("type") == "function_call"]
        results = matched(calls, [(i["call_id"], joined(i["output"])) for i in items if i.get("type") == "function_call_output"])
        return Asked(body["model"], body.get("stream", False), [t["name"] for t in body.get("tools") or []], results, "format" in (body.get("text") or {}))

    def items(self, said):
        if said.reasoning:
            yield {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": said.reasoning}], "encrypted_content": "c2VhbA=="}
        if said.text:
            part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
            yield {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        if said.call:
            yield {"type": "function_call", "id": "fc_1", "call_id": said.call[0], "name": said.call[1], "arguments": json.dumps(said.call[2]), "status": "completed"}

    def whole(self, said, status="completed"):
        usage = {"input_tokens": INPUT, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": OUTPUT, "output_tokens_details": {"reasoning_tokens": 0},
                 "total_tokens": INPUT + OUTPUT}
        return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None, "incomplete_details": None, "instructions": None, "model": "m",
                "output": list(self.items(said)), "parallel_tool_calls": True, "temperature": 1, "tool_choice": "auto", "tools": [], "top_p": 1, "metadata": {}, "usage": usage}

    def stream(self, said):
        events = [{"type": "response.created", "response": {**self.whole(Said(), "in_progress"), "usage": None}}]
        for n, item in enumerate(self.items(said)):
            place = {"item_id": item["id"], "output_index": n}
            bare = {**item, "status": "in_progress"}
            bare.update({"content": []} if item["type"] == "message" else {"summary": []} if item["type"] == "reasoning" else {"arguments": ""})
            events.append({"type": "response.output_item.added", "output_index": n, "item": bare})
            if item["type"] == "message":
                part = item["content"][0]
                events.append({"type": "response.content_part.added", **place, "content_index": 0, "part": {**part, "text": ""}})
                events += [{"type": "response.output_text.delta", **place, "content_index": 0, "delta": p, "logprobs": []} for p in said.pieces()]
                events.append({"type": "response.output_text.done", **place, "content_index": 0, "text": said.text, "logprobs": []})
                events.append({"type": "response.content_part.done", **place, "content_index": 0, "part": part})
            elif item["type"] == "reasoning":
                events.append({"type": "response.reasoning_summary_text.delta", **place, "summary_index": 0, "delta": said.reasoning})
            else:
                events += [{"type": "response.function_call_arguments.delta", **place, "delta": p} for p in (item["arguments"][:5], item["arguments"][5:])]
                events.append({"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"], "name": item["name"]})
            events.append({"type": "response.output_item.done", "output_index": n, "item": item})
        events.append({"type": "response.completed", "response": self.whole(said)})
        for n, e in enumerate(events):
            yield sse({**e, "sequence_number": n}, e["type"])


class ConverseSpeaker(Speaker):
    kind, stream_type = "bedrock", "application/vnd.amazon.eventstream"

    def entry(self, name, root, models):
        return {**super().entry(name, root, models), "api_key": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}

    def hear(self, call):
        model, method = re.search(r"/model/([^/]+)/(converse(?:-stream)?)$", call.path).groups()
        body = call.json
        blocks = [b for m in body["messages"] for b in m["content"]]
        calls = [b["toolUse"]["toolUseId"] for b in blocks if "toolUse" in b]
        results = [b["toolResult"] for b in blocks if "toolResult" in b]
        texts = matched(calls, [(r["toolUseId"], "".join(c.get("text") or json.dumps(c["json"]) for c in r["content"])) for r in results])
        tools = [t["toolSpec"]["name"] for t in (body.get("toolConfig") or {}).get("tools") or [] if "toolSpec" in t]
        as_json = "json_answer" in tools or "outputConfig" in body or "output_config" in (body.get("additionalModelRequestFields") or {})
        return Asked(model, method.endswith("stream"), [t for t in tools if t != "json_answer"], texts, as_json)

    def error(self, status, message):
        kind = {400: "ValidationException", 429: "ThrottlingException", 500: "InternalServerException"}[status]
        return {"message": message}, {"x-amzn-errortype": kind}

    usage = {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}

    def blocks(self, said):
        if said.reasoning:
            yield {"reasoningContent": {"reasoningText": {"text": said.reasoning, "signature": "c2VhbA=="}}}
        if said.text:
            yield {"text": said.text}
        if said.call:
            yield {"toolUse": {"toolUseId": said.call[0], "name": said.call[1], "input": said.call[2]}}

    def whole(self, said):
        return {"output": {"message": {"role": "assistant", "content": list(self.blocks(said))}}, "stopReason": "tool_use" if said.call else "end_turn", "usage": self.usage,
                "metrics": {"latencyMs": 1}}

    def stream(self, said):
        yield aws_frame("messageStart", {"role": "assistant"})
        for n, block in enumerate(self.blocks(said)):
            if "toolUse" in block:
                use = block["toolUse"]
                yield aws_frame("contentBlockStart", {"contentBlockIndex": n, "start": {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}})
                arguments = json.dumps(use["input"])
                deltas = [{"toolUse": {"input": p}} for p in (arguments[:5], arguments[5:])]
            elif "text" in block:
                deltas = [{"text": p} for p in said.pieces()]
            else:
                deltas = [{"reasoningContent": {"text": said.reasoning}}, {"reasoningContent": {"signature": "c2VhbA=="}}]
            for delta in deltas:
                yield aws_frame("contentBlockDelta", {"contentBlockIndex": n, "delta": delta})
            yield aws_frame("contentBlockStop", {"contentBlockIndex": n})
        yield aws_frame("messageStop", {"stopReason": "tool_use" if said.call else "end_turn"})
        yield aws_frame("metadata", {"usage": self.usage, "metrics": {"latencyMs": 1}})


class CohereSpeaker(Speaker):
    kind = "cohere"

    def hear(self, call):
        body = call.json
        calls = [c["id"] for m in body["messages"] for c in m.get("tool_calls") or []]
        results = matched(calls, [(m["tool_call_id"], joined(m["content"])) for m in body["messages"] if m["role"] == "tool"])
        return Asked(body["model"], body.get("stream", False), [t["function"]["name"] for t in body.get("tools") or []], results, "response_format" in body)

    def error(self, status, message):
        return {"id": "e1", "message": message}, {}

    end = {"usage": {"billed_units": {"input_tokens": INPUT, "output_tokens": OUTPUT}, "tokens": {"input_tokens": 500, "output_tokens": OUTPUT}}}

    def whole(self, said):
        message = {"role": "assistant"}
        content = ([{"type": "thinking", "thinking": said.reasoning}] if said.reasoning else []) + ([{"type": "text", "text": said.text}] if said.text else [])
        if content:
            message["content"] = content
        if said.call:
            message["tool_calls"] = [{"id": said.call[0], "type": "function", "function": {"name": said.call[1], "arguments": json.dumps(said.call[2])}}]
        return {"id": "c1", "message": message, "finish_reason": "TOOL_CALL" if said.call else "COMPLETE", **self.end}

    def stream(self, said):
        def event(kind, **more):
            return sse({"type": kind, **more}, kind)

        yield event("message-start", id="c1", delta={"message": {"role": "assistant", "content": [], "tool_calls": []}})
        n = 0
        for kind, pieces in (("thinking", [said.reasoning] if said.reasoning else []), ("text", said.pieces())):
            if not pieces:
                continue
            yield event("content-start", index=n, delta={"message": {"content": {"type": kind, kind: ""}}})
            for piece in pieces:
                yield event("content-delta", index=n, delta={"message": {"content": {kind: piece}}})
            yield event("content-end", index=n)
            n += 1
        if said.call:
            arguments = json.dumps(said.call[2])
            call = {"id": said.call[0], "type": "function", "function": {"name": said.call[1], "arguments": ""}}
            yield event("tool-call-start", index=0, delta={"message": {"tool_calls": call}})
            for piece in (arguments[:5], arguments[5:]):
                yield event("tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": piece}}}})
            yield event("tool-call-end", index=0)
        yield event("message-end", delta={"finish_reason": "TOOL_CALL" if said.call else "COMPLETE", **self.end})


class OllamaSpeaker(Speaker):
    kind, stream_type = "ollama", "application/x-ndjson"

    def hear(self, call):
        body = call.json
        calls = [c["function"]["name"] for m in body["messages"] for c in m.get("tool_calls") or []]
        results = [m for m in body["messages"] if m["role"] == "tool"]
        assert [m["tool_name"] for m in results] == calls, body["messages"]
        return Asked(body["model"], body.get("stream", True), [t["function"]["name"] for t in body.get("tools") or []], [m["content"] for m in results], "format" in body)

    def error(self, status, message):
        return {"error": message}, {}

    end = {"done": True, "done_reason": "stop", "prompt_eval_count": INPUT, "eval_count": OUTPUT}

    def message(self, said):
        return {"role": "assistant", "content": said.text, **({"thinking": said.reasoning} if said.reasoning else {}),
                **({"tool_calls": [{"function": {"name": said.call[1], "arguments": said.call[2]}}]} if said.call else {})}

    def whole(self, said):
        return {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": self.message(said), **self.end}

    def stream(self, said):
        for part in ([Said(reasoning=said.reasoning)] if said.reasoning else []) + [Said(p) for p in said.pieces()] + ([Said(call=said.call)] if said.call else []):
            yield json.dumps({"model": "m", "message": self.message(part), "done": False}).encode() + b"\n"
        yield json.dumps({"model": "m", "message": {"role": "assistant", "content": ""}, **self.end}).encode() + b"\n"


SPEAKERS = {"chat": ChatSpeaker, "messages": MessagesSpeaker, "gemini": GeminiSpeaker, "responses": ResponsesSpeaker, "converse": ConverseSpeaker,
            "cohere": CohereSpeaker, "ollama": OllamaSpeaker, "mistral": MistralSpeaker}
MODELS = ["hello", "tools", "json", "reasoning", "work"]


class Upstreams:
    """All of them, each on a port of its own, and the configuration that names them: NAME/MODEL, and for what fails NAME-bad/bad and so on."""

    def __init__(self, names):
        self.all, self.entries = [], []
        for name in names:
            speaker = SPEAKERS[name]()
            upstream = Upstream(speaker.answer)
            self.all.append(upstream)
            root = upstream.base.removesuffix("/v1")
            self.entries.append(speaker.entry(name, root, MODELS))
            # What fails rests its provider, so it has one of its own.
            self.entries += [speaker.entry(f"{name}-{model}", root, [model]) for model in (*ERRORS, "broken")]

    @property
    def failures(self):
        return [f for upstream in self.all for f in upstream.failures]

    def close(self):
        for upstream in self.all:
            upstream.close()
