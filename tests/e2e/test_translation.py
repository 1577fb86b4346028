#!/usr/bin/env python3
"""Clients of every dialect in front of an upstream that speaks OpenAI: recorded requests and replies, held to the schemas of their dialects."""

import json
import os
import pathlib
import re
import sys
import unittest

from harness import SHARED, Portolan, Upstream, provider, run_tests, settings

try:
    import jsonschema
except ImportError:
    jsonschema = None

RECORDINGS = SHARED / "data" / "recordings"
SPECS = SHARED / "data" / "specs"


def recordings(pattern):
    for path in sorted(RECORDINGS.glob(pattern)):
        yield path.relative_to(RECORDINGS), json.loads(path.read_text())


class Schema:
    """One of the published types; every definition is compiled once."""

    def __init__(self, name, pointer):
        document = json.loads((SPECS / name).read_text())
        root = {"$defs": document["$defs"]} if "$defs" in document else {"definitions": document["definitions"]}
        kind = jsonschema.Draft202012Validator if "$defs" in document else jsonschema.Draft7Validator
        self._validator = kind({**root, "$ref": pointer})

    def mistakes(self, value):
        return [f"{e.json_path}: {e.message[:200]}" for e in self._validator.iter_errors(value)]


def events_with_names(body):
    out = []
    for block in body.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        name = next((line[7:] for line in lines if line.startswith("event: ")), "")
        data = "\n".join(line[6:] for line in lines if line.startswith("data: "))
        out.append((name, data))
    return out


def said_by_chat(chunks_or_reply, whole):
    """What an OpenAI answer says, in no dialect: text, reasoning, calls, finish, usage."""
    text, thought, calls, finish, usage = "", "", {}, None, None
    for part in [chunks_or_reply] if whole else chunks_or_reply:
        usage = part.get("usage") or usage
        for choice in part.get("choices") or []:
            if choice.get("index", 0) != 0:
                continue
            d = choice.get("message" if whole else "delta") or {}
            content = d.get("content")
            if isinstance(content, str):
                text += content
            for c in content if isinstance(content, list) else []:
                if c.get("type") == "text":
                    text += c["text"]
                for t in c.get("thinking") or []:
                    thought += t.get("text", "")
            text += d.get("refusal") or ""
            plain = d.get("reasoning_content") or d.get("reasoning") or ""
            thought += plain or (whole and "".join(r.get("text") or "" for r in d.get("reasoning_details") or [])) or ""
            old = d.get("function_call") or {}
            if old.get("name") or old.get("arguments"):
                at = calls.setdefault("function", {"name": "", "arguments": ""})
                at["name"], at["arguments"] = at["name"] or old.get("name") or "", at["arguments"] + (old.get("arguments") or "")
            for place, call in enumerate(d.get("tool_calls") or []):
                at = calls.setdefault((call.get("index", place), call.get("id") if whole else None), {"name": "", "arguments": ""})
                f = call.get("function") or {}
                at["name"] = at["name"] or f.get("name") or ""
                arguments = f.get("arguments") or ""
                at["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)
            finish = choice.get("finish_reason") or finish
    try:
        calls = [(c["name"], json.loads(c["arguments"] or "{}")) for c in calls.values()]
    except ValueError:
        return None  # a fixture with several replies in one
    return {"text": text, "thought": thought, "calls": calls, "finish": finish, "usage": usage}


FINISH = {"length": "length", "content_filter": "filter"}


def expected(case):
    response = case["response"]
    if isinstance(response.get("body"), dict):
        body = response["body"]
        if "choices" not in body or (body.get("choices") and "message" not in body["choices"][0]):
            return None
        return said_by_chat(body, True)
    if "body_text" not in response:
        return None
    chunks = []
    for line in re.split(r"\r?\n", response["body_text"]):
        if line.startswith("data:") and line[5:].strip() not in ("", "[DONE]"):
            chunks.append(json.loads(line[5:]))
    if not chunks or any(c.get("error") for c in chunks) or not any((choice.get("finish_reason") for c in chunks for choice in c.get("choices") or [])):
        return None
    return said_by_chat(chunks, False)


class Anthropic:
    name = "anthropic"

    def __init__(self):
        self.message = Schema("anthropic.jsonschema.json", "#/definitions/AnthropicBundle/properties/Message")
        self.event = Schema("anthropic.jsonschema.json", "#/definitions/AnthropicBundle/properties/StreamEvent")

    def ask(self, host, model, stream):
        body = {"model": model, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
        return host.ask("POST", "/v1/messages", body)

    def said(self, reply, stream):
        mistakes = []
        if not stream:
            message = reply.json
            mistakes += self.message.mistakes(message)
        else:
            message, inputs = None, []
            named = events_with_names(reply.body)
            for name, data in named:
                e = json.loads(data)
                if e["type"] == "ping":
                    continue
                mistakes += [f"{name}: {m}" for m in self.event.mistakes(e)]
                if name != e["type"]:
                    mistakes.append(f"event {name} has type {e['type']}")
                if name == "message_start":
                    message = e["message"]
                elif name == "content_block_start":
                    if e["index"] != len(message["content"]):
                        mistakes.append("a gap between blocks")
                    message["content"].append(e["content_block"])
                    inputs.append("")
                elif name == "content_block_delta":
                    d, block = e["delta"], message["content"][e["index"]]
                    for kind, member in (("text_delta", "text"), ("thinking_delta", "thinking")):
                        if d["type"] == kind:
                            block[member] += d[member]
                    if d["type"] == "input_json_delta":
                        inputs[e["index"]] += d["partial_json"]
                elif name == "content_block_stop" and inputs[e["index"]]:
                    message["content"][e["index"]]["input"] = json.loads(inputs[e["index"]])
                elif name == "message_delta":
                    message["stop_reason"] = e["delta"]["stop_reason"]
                    message["usage"].update(e["usage"])
            if not named or named[-1][0] != "message_stop":
                mistakes.append("the last event is not message_stop")
        content = message["content"]
        usage = message["usage"]
        return mistakes, {
            "text": "".join(b["text"] for b in content if b["type"] == "text"),
            "thought": "".join(b["thinking"] for b in content if b["type"] == "thinking"),
            "calls": [(b["name"], b["input"]) for b in content if b["type"] == "tool_use"],
            "finish": {"tool_use": "calls", "max_tokens": "length", "refusal": "filter"}.get(message["stop_reason"], "stop"),
            "input": usage["input_tokens"] + (usage["cache_read_input_tokens"] or 0) + (usage["cache_creation_input_tokens"] or 0), "output": usage["output_tokens"]}


class Responses:
    name = "responses"

    def __init__(self):
        by_type = json.loads((SPECS / "openai.response_event_by_type.json").read_text())
        document = json.loads((SPECS / "openai.jsonschema.json").read_text())
        self.response = Schema("openai.jsonschema.json", "#/$defs/Response")
        root = {"$defs": document["$defs"]}
        self.events = {kind: jsonschema.Draft202012Validator({**root, "$ref": f"#/$defs/{name}"}) for kind, name in by_type.items()}

    def ask(self, host, model, stream):
        return host.ask("POST", "/v1/responses", {"model": model, "stream": stream, "store": False, "input": "hello"})

    def said(self, reply, stream):
        mistakes = []
        if not stream:
            response = reply.json
        else:
            named = [(name, json.loads(data)) for name, data in events_with_names(reply.body)]
            deltas, done, items = "", "", []
            for number, (name, e) in enumerate(named):
                if name != e["type"] or e["sequence_number"] != number:
                    mistakes.append(f"event {name} has type {e['type']} and number {e['sequence_number']}, not {number}")
                if name not in ("response.created", "response.in_progress", "response.completed", "response.incomplete"):
                    mistakes += [f"{name}: {x.json_path}: {x.message[:150]}" for x in self.events[name].iter_errors(e)]
                if name == "response.output_text.delta":
                    deltas += e["delta"]
                if name == "response.output_text.done":
                    done += e["text"]
                if name == "response.output_item.done":
                    items.append(e["item"])
            if named[-1][0] not in ("response.completed", "response.incomplete"):
                mistakes.append(f"the last event is {named[-1][0]}")
            response = named[-1][1].get("response", {"output": []})
            if deltas != done or items != response["output"]:
                mistakes.append("deltas, done events and the completed response differ")
        mistakes += self.response.mistakes(response)
        output = response["output"]
        parts = [p for item in output if item["type"] == "message" for p in item["content"]]
        calls = [(i["name"], json.loads(i["arguments"])) for i in output if i["type"] == "function_call"]
        reason = (response.get("incomplete_details") or {}).get("reason")
        usage = response.get("usage") or {"input_tokens": 0, "output_tokens": 0}
        return mistakes, {
            "text": "".join(p.get("text", p.get("refusal", "")) for p in parts),
            "thought": "".join(s["text"] for i in output if i["type"] == "reasoning" for s in i["summary"]),
            "calls": calls,
            "finish": {"max_output_tokens": "length", "content_filter": "filter"}.get(reason, "calls" if calls else "stop"),
            "input": usage["input_tokens"], "output": usage["output_tokens"]}


class Gemini:
    name = "gemini"
    array = False

    def __init__(self):
        self.response = Schema("gemini.jsonschema.json", "#/definitions/GeminiBundle/properties/Response")

    def ask(self, host, model, stream):
        method = ("streamGenerateContent" + ("" if self.array else "?alt=sse")) if stream else "generateContent"
        return host.ask("POST", f"/v1beta/models/{model.replace('/', '%2F')}:{method}", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]})

    def said(self, reply, stream):
        if not stream:
            chunks = [reply.json]
        elif self.array:
            chunks = reply.json
        else:
            chunks = [json.loads(block[6:]) for block in reply.body.decode().split("\r\n\r\n") if block.startswith("data: ")]
        mistakes = [m for chunk in chunks for m in self.response.mistakes(chunk)]
        candidates = [c for chunk in chunks for c in chunk["candidates"] if c["index"] == 0]
        parts = [p for c in candidates for p in c["content"]["parts"]]
        finishes = [c["finishReason"] for c in candidates if "finishReason" in c]
        if len(finishes) != 1:
            mistakes.append(f"finish reasons: {finishes}")
        calls = [(p["functionCall"]["name"], p["functionCall"]["args"]) for p in parts if "functionCall" in p]
        usage = chunks[-1]["usageMetadata"]
        return mistakes, {
            "text": "".join(p["text"] for p in parts if "text" in p and not p.get("thought")),
            "thought": "".join(p["text"] for p in parts if p.get("thought")),
            "calls": calls,
            "finish": {"MAX_TOKENS": "length", "SAFETY": "filter"}.get(finishes[-1], "calls" if calls else "stop"),
            "input": usage["promptTokenCount"], "output": usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)}


class GeminiArray(Gemini):
    name = "gemini, as an array"
    array = True


DIALECTS = [Anthropic, Responses, Gemini, GeminiArray]


class Replies(unittest.TestCase):
    @unittest.skipUnless(jsonschema and RECORDINGS.is_dir(), "needs python3-jsonschema and the recordings")
    def test_recorded_chat_replies_say_the_same_in_every_dialect(self):
        serving = {}

        def behave(call):
            response = serving["case"]["response"]
            content_type = (response.get("headers") or {}).get("content-type", "")
            if "body_text" in response:
                call.start(content_type or "text/event-stream")
                raw = response["body_text"].encode()
                step = 1 + len(raw) // 7
                for at in range(0, len(raw), step):
                    call.chunk(raw[at:at + step])
                return call.end()
            return call.reply(200, response["body"])

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models="any"))) as host:
            for make in DIALECTS:
                speaks = make()
                seen, misses = 0, []
                for name, case in recordings("*/chat--*.json"):
                    if case["response"].get("status", 200) != 200:
                        continue
                    want = expected(case)
                    if want is None:
                        continue
                    serving["case"] = case
                    stream = "body_text" in case["response"]
                    reply = speaks.ask(host, "up/m", stream)
                    if reply.status != 200:
                        misses.append(f"{name}: {reply.status} {reply.body[:200]}")
                        continue
                    mistakes, got = speaks.said(reply, stream)
                    misses += [f"{name}: {m}" for m in mistakes[:2]]
                    for what in ("text", "thought", "calls"):
                        if got[what] != want[what]:
                            misses.append(f"{name}: {what}: {str(got[what])[:150]} for {str(want[what])[:150]}")
                    finish = "calls" if want["calls"] else FINISH.get(want["finish"], "stop")
                    if got["finish"] != finish and "refusal" not in json.dumps(case["response"]):
                        misses.append(f"{name}: finish: {got['finish']} for {finish}")
                    if want["usage"]:
                        usage = want["usage"]
                        output, thought = usage.get("completion_tokens") or 0, (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
                        if str(name).startswith("xai/"):  # trap 70: there they are beside each other
                            output += thought
                        if got["output"] != output:
                            misses.append(f"{name}: output tokens: {got['output']} for {usage}")
                        if got["input"] != usage.get("prompt_tokens"):
                            misses.append(f"{name}: input tokens: {got['input']} for {usage}")
                    seen += 1
                print(f"{speaks.name}: {seen} recorded chat replies", file=sys.stderr)
                self.assertGreater(seen, 400)
                self.assertEqual(misses, [], "\n".join(misses[:40]))


class Requests(unittest.TestCase):
    @unittest.skipUnless(jsonschema and RECORDINGS.is_dir(), "needs python3-jsonschema and the recordings")
    def test_recorded_requests_become_requests_that_openai_takes(self):
        schema = Schema("openai.jsonschema.relaxed.json", "#/$defs/CreateChatCompletionRequest")
        asked = []

        def behave(call):
            asked.append(call.json)
            return call.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]})

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models="any"))) as host:
            for api, path, list_name, least in (("messages", "/v1/messages", "messages", 100), ("responses", "/v1/responses", "input", 100),
                                                 ("generateContent", "/v1beta/models/up%2Fm:generateContent", "contents", 50),
                                                 ("streamGenerateContent", "/v1beta/models/up%2Fm:generateContent", "contents", 30)):
                seen, refused, misses = 0, 0, []
                for name, case in recordings(f"*/{api}--*.json"):
                    body = (case["request"] or {}).get("body")
                    if not isinstance(body, dict) or list_name not in body or "provider" in body or case["response"].get("status", 200) != 200:
                        continue
                    asked.clear()
                    reply = host.ask("POST", path, body if list_name == "contents" else {**body, "model": "up/m", "stream": False})
                    if reply.status != 200:
                        if b"unsupported_content" in reply.body:
                            refused += 1
                        else:
                            misses.append(f"{name}: {reply.status} {reply.body[:200]}")
                        continue
                    seen += 1
                    misses += [f"{name}: {m}" for m in schema.mistakes({**asked[0], "stream": False})[:2]]
                print(f"{api}: {seen} recorded requests, {refused} refused", file=sys.stderr)
                self.assertGreater(seen, least)
                self.assertEqual(misses, [], "\n".join(misses[:40]))


class Edges(unittest.TestCase):
    def test_errors_before_inference_are_in_the_language_of_the_path(self):
        with Portolan({"auth": {"mode": "required", "keys": [{"name": "k", "key": "secret-key-0123456789"}]}, "providers": [{"name": "echo", "type": "echo"}]}) as host:
            reply = host.ask("POST", "/v1/messages", {}, headers={"x-api-key": "wrong"})
            self.assertEqual((reply.status, reply.json["type"], reply.json["error"]["type"]), (401, "error", "authentication_error"))
            self.assertEqual(host.ask("POST", "/v1/messages?beta=true", {"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
                                      headers={"x-api-key": "secret-key-0123456789"}).status, 200)

    def test_tokens_are_counted_for_every_model(self):
        with Portolan(settings({"name": "echo", "type": "echo"})) as host:
            body = {"model": "echo", "messages": [{"role": "user", "content": "hello there " * 50}]}
            reply = host.ask("POST", "/v1/messages/count_tokens?beta=true", body)
            self.assertEqual(reply.status, 200)
            self.assertAlmostEqual(reply.json["input_tokens"], 150, delta=30)
            self.assertIn("estimate", reply.headers["x-portolan-warning"])
            reply = host.ask("POST", "/v1/responses/input_tokens", {"model": "echo", "input": "hello there " * 50})
            self.assertEqual((reply.status, reply.json["object"]), (200, "response.input_tokens"))
            self.assertEqual(host.ask("POST", "/v1/messages/count_tokens", {"model": "nobody", "messages": body["messages"]}).status, 404)

    def test_a_strict_route_refuses_what_would_be_lost(self):
        def behave(call):
            return call.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]})

        with Upstream(behave) as upstream:
            config = settings(provider(upstream.base, models=["m"]), routes=[{"name": "exact", "policy": "priority", "targets": ["up/m"], "strict": True}])
            with Portolan(config) as host:
                body = {"max_tokens": 5, "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}
                loose = host.ask("POST", "/v1/messages", {**body, "model": "m"})
                self.assertEqual((loose.status, loose.headers.get("x-portolan-dropped-params")), (200, "top_k"))
                strict = host.ask("POST", "/v1/messages", {**body, "model": "exact"})
                self.assertEqual((strict.status, strict.json["error"]["type"]), (400, "invalid_request_error"))
                self.assertIn("top_k", strict.json["error"]["message"])
                del body["top_k"]
                self.assertEqual(host.ask("POST", "/v1/messages", {**body, "model": "exact"}).status, 200)
                self.assertRegex(host.get("/metrics").body.decode(), r'portolan_translation_loss_total\{field="top_k",from="anthropic",to="up"\} 2')

    def test_a_stream_that_breaks_off_ends_with_an_error_event(self):
        def behave(call):
            call.start()
            call.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "half"}, "finish_reason": None}]})
            call.cut()

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models=["m"]))) as host:
            reply = host.ask("POST", "/v1/messages", {"model": "m", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
            names = [name for name, _ in events_with_names(reply.body)]
            self.assertEqual(names[-1], "error")
            self.assertNotIn("message_stop", names)


if __name__ == "__main__":
    run_tests()
