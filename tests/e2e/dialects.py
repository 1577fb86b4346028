"""The client's side of each dialect: how to ask, what an answer says whatever its language, and what is wrong with it by the published types."""

import json

from harness import SHARED

try:
    import jsonschema
except ImportError:
    jsonschema = None

RECORDINGS = SHARED / "data" / "recordings"
SPECS = SHARED / "data" / "specs"
READY = jsonschema is not None and RECORDINGS.is_dir() and SPECS.is_dir()
# Members that hold any text: a schema says no more of them than that.
FREE_TEXT = {"text", "delta", "thinking", "partial_json", "arguments", "content", "reasoning_content", "reasoning", "refusal", "id", "item_id", "call_id",
             "signature", "data", "encrypted_content", "model", "responseId", "modelVersion", "thoughtSignature"}


def shape(value, key=""):
    """A value with what no schema looks at left out: equal shapes are equally valid."""
    if isinstance(value, dict):
        return {k: shape(v, k) for k, v in value.items()} if key not in ("args", "input") else {}
    if isinstance(value, list):
        return [shape(v, key) for v in value]
    if isinstance(value, str):
        return "" if key in FREE_TEXT else value
    return 0 if isinstance(value, int) and not isinstance(value, bool) and value > 0 else value


class Schema:
    """One of the published types; every definition is compiled once, and every shape judged once."""

    _documents = {}

    def __init__(self, name, pointer):
        document = self._documents.setdefault(name, None) or json.loads((SPECS / name).read_text())
        self._documents[name] = document
        root = {"$defs": document["$defs"]} if "$defs" in document else {"definitions": document["definitions"]}
        kind = jsonschema.Draft202012Validator if "$defs" in document else jsonschema.Draft7Validator
        self._validator = kind({**root, "$ref": pointer})
        self._judged = {}

    def mistakes(self, value):
        of = json.dumps(shape(value))
        if of not in self._judged:
            self._judged[of] = [f"{e.json_path}: {e.message[:200]}" for e in self._validator.iter_errors(value)]
        return self._judged[of]


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


def detail(usage, name, member):
    return (usage.get(name) or {}).get(member)


def facts(text, thought, calls, finish, usage=None, cached=None, reasoned=None):
    """What every dialect can say. usage: (input, output) as totals. finish: stop, length, calls, filter."""
    given = usage or (None, None)
    return {"text": text, "thought": thought, "calls": calls, "finish": finish, "input": given[0], "output": given[1], "cached": cached, "reasoned": reasoned}


class Chat:
    name, path = "chat", "/v1/chat/completions"

    def __init__(self):
        self.reply = Schema("openai.jsonschema.json", "#/$defs/CreateChatCompletionResponse")
        self.chunk = Schema("openai.jsonschema.json", "#/$defs/CreateChatCompletionStreamResponse")
        self.error = Schema("openai.jsonschema.json", "#/$defs/ErrorResponse")

    def ask(self, host, model, stream):
        body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
        return host.ask("POST", self.path, {**body, "stream_options": {"include_usage": True}} if stream else body)

    def said(self, reply, stream):
        mistakes = []
        if stream:
            events = [data for _, data in events_with_names(reply.body)]
            if events[-1:] != ["[DONE]"] or events.count("[DONE]") != 1:
                mistakes.append("[DONE] is not the end")
            values = [json.loads(e) for e in events if e != "[DONE]"]
        else:
            values = [reply.json]
        mistakes += [m for v in values for m in (self.chunk if stream else self.reply).mistakes(v)]
        text, thought, calls, finishes, usage = "", "", {}, [], None
        for value in values:
            usage = value.get("usage") or usage
            for choice in value["choices"]:
                if choice["index"] != 0:
                    continue
                part = choice["delta" if stream else "message"]
                text += (part.get("content") or "") + (part.get("refusal") or "")
                thought += part.get("reasoning_content") or ""
                legacy = part.get("function_call")
                if legacy:
                    at = calls.setdefault("function", ["", ""])
                    at[0], at[1] = at[0] or legacy.get("name") or "", at[1] + legacy["arguments"]
                for place, call in enumerate(part.get("tool_calls") or []):
                    at = calls.setdefault(call.get("index", place), ["", ""])
                    at[0] += call["function"].get("name") or ""
                    at[1] += call["function"].get("arguments") or ""
                finishes += [choice["finish_reason"]] if choice.get("finish_reason") else []
        if len(finishes) != 1:
            mistakes.append(f"finish reasons: {finishes}")
        finish = {"length": "length", "content_filter": "filter", "tool_calls": "calls", "function_call": "calls"}.get(finishes[-1] if finishes else "", "stop")
        usage = usage or {}
        return mistakes, facts(text, thought, [(n, json.loads(a)) for n, a in calls.values()], finish, (usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)),
                               detail(usage, "prompt_tokens_details", "cached_tokens"), detail(usage, "completion_tokens_details", "reasoning_tokens"))


class Messages:
    name, path = "messages", "/v1/messages"

    def __init__(self):
        self.message = Schema("anthropic.jsonschema.json", "#/definitions/AnthropicBundle/properties/Message")
        self.event = Schema("anthropic.jsonschema.json", "#/definitions/AnthropicBundle/properties/StreamEvent")
        self.error = Schema("anthropic.jsonschema.json", "#/definitions/AnthropicBundle/properties/Error")

    def ask(self, host, model, stream):
        body = {"model": model, "max_tokens": 64, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
        return host.ask("POST", self.path, body)

    def put_together(self, reply, mistakes):
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
                if message["usage"]["output_tokens"] != 0:
                    mistakes.append("output tokens before any output")
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
                if d["type"] == "citations_delta":
                    block["citations"] = (block["citations"] or []) + [d["citation"]]
            elif name == "content_block_stop" and inputs[e["index"]]:
                message["content"][e["index"]]["input"] = json.loads(inputs[e["index"]])
            elif name == "message_delta":
                message["stop_reason"] = e["delta"]["stop_reason"]
                message["usage"].update(e["usage"])
        if not named or named[-1][0] != "message_stop":
            mistakes.append("the last event is not message_stop")
        return message

    def said(self, reply, stream):
        mistakes = []
        message = self.put_together(reply, mistakes) if stream else reply.json
        if not stream:
            mistakes += self.message.mistakes(message)
        content, usage = message["content"], message["usage"]
        finish = {"tool_use": "calls", "max_tokens": "length", "refusal": "filter"}.get(message["stop_reason"], "stop")
        read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        return mistakes, facts("".join(b["text"] for b in content if b["type"] == "text"), "".join(b["thinking"] for b in content if b["type"] == "thinking"),
                               [(b["name"], b["input"]) for b in content if b["type"] == "tool_use"], finish,
                               (usage["input_tokens"] + (read or 0) + (written or 0), usage["output_tokens"]), read, detail(usage, "output_tokens_details", "thinking_tokens"))


class Responses:
    name, path = "responses", "/v1/responses"

    def __init__(self):
        by_type = json.loads((SPECS / "openai.response_event_by_type.json").read_text())
        self.response = Schema("openai.jsonschema.json", "#/$defs/Response")
        self.events = {kind: Schema("openai.jsonschema.json", f"#/$defs/{name}") for kind, name in by_type.items()}
        self.error = Schema("openai.jsonschema.json", "#/$defs/ErrorResponse")

    def ask(self, host, model, stream):
        return host.ask("POST", self.path, {"model": model, "stream": stream, "store": False, "input": "hello"})

    def put_together(self, reply, mistakes):
        named = [(name, json.loads(data)) for name, data in events_with_names(reply.body)]
        deltas, done, items = "", "", []
        for number, (name, e) in enumerate(named):
            if name != e["type"] or e["sequence_number"] != number:
                mistakes.append(f"event {name} has type {e['type']} and number {e['sequence_number']}, not {number}")
            if name not in ("response.created", "response.in_progress", "response.completed", "response.incomplete"):  # the last one is judged as an object
                mistakes += [f"{name}: {m}" for m in self.events[name].mistakes(e)]
            if name == "response.output_text.delta":
                deltas += e["delta"]
            if name == "response.output_text.done":
                done += e["text"]
            if name == "response.output_item.done":
                items.append(e["item"])
        if not named or named[-1][0] not in ("response.completed", "response.incomplete"):
            mistakes.append(f"the last event is {named[-1][0] if named else None}")
        response = named[-1][1].get("response", {"output": []})
        if deltas != done or items != response["output"]:
            mistakes.append("deltas, done events and the completed response differ")
        return response

    def said(self, reply, stream):
        mistakes = []
        response = self.put_together(reply, mistakes) if stream else reply.json
        mistakes += self.response.mistakes(response)
        output = response["output"]
        parts = [p for item in output if item["type"] == "message" for p in item["content"]]
        calls = [(i["name"], json.loads(i["arguments"])) for i in output if i["type"] == "function_call"]
        reason = (response.get("incomplete_details") or {}).get("reason")
        usage = response.get("usage") or {"input_tokens": 0, "output_tokens": 0}
        finish = {"max_output_tokens": "length", "content_filter": "filter"}.get(reason, "calls" if calls else "stop")
        return mistakes, facts("".join(p.get("text", p.get("refusal", "")) for p in parts),
                               "".join(s["text"] for i in output if i["type"] == "reasoning" for s in i["summary"]), calls, finish,
                               (usage["input_tokens"], usage["output_tokens"]), detail(usage, "input_tokens_details", "cached_tokens"),
                               detail(usage, "output_tokens_details", "reasoning_tokens"))


class Gemini:
    name, array = "gemini", False

    def __init__(self):
        self.response = Schema("gemini.jsonschema.json", "#/definitions/GeminiBundle/properties/Response")
        self.error = None  # not among the published types

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
        thoughts = usage.get("thoughtsTokenCount")
        return mistakes, facts("".join(p["text"] for p in parts if "text" in p and not p.get("thought")), "".join(p["text"] for p in parts if p.get("thought")), calls,
                               {"MAX_TOKENS": "length", "SAFETY": "filter"}.get(finishes[-1] if finishes else "", "calls" if calls else "stop"),
                               (usage["promptTokenCount"], usage["candidatesTokenCount"] + (thoughts or 0)), usage.get("cachedContentTokenCount"), thoughts)


class GeminiArray(Gemini):
    name, array = "gemini, as an array", True
