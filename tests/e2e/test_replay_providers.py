"""Recorded answers of Anthropic (also on Vertex), Gemini, Vertex and Bedrock through the real binary, asked in OpenAI's dialect: what they mean must be
what the recording means, however the bytes are cut. Each API has a reader of its own here, which knows nothing of the plugins."""

import base64
import csv
import json
import re
import struct
import sys
import zlib

from harness import SHARED, SKIPPED, SLOWNESS, Portolan, Upstream, events_of, run_tests, settings
from replaying import NEVER_RESTS, Replays
from test_replay import RECORDINGS, SEED, pieces_of

# api of the recording -> type of the provider that serves it, path below its base URL
APIS = {"messages": "anthropic", "generateContent": "gemini", "streamGenerateContent": "gemini", "converse": "bedrock", "converse-stream": "bedrock",
        "rawPredict": "vertex-anthropic"}
# What the host may make of an upstream's error status; a bad key is 503 whatever the upstream calls it.
STATUS = {400: (400,), 401: (503,), 403: (503,), 404: (404,), 429: (429,)}
SYNTHETIC_KEYS = {"anthropic": "sk-ant-test", "gemini": "AIza-test", "bedrock": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "vertex-anthropic": "ya29.test"}
SETTINGS = {"vertex-anthropic": {"project": "p"}}


def aws_frame(event, payload, kind="event"):
    """One frame of an AWS event stream."""
    headers = b""
    for name, value in ((":event-type" if kind == "event" else ":exception-type", event), (":content-type", "application/json"), (":message-type", kind)):
        headers += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


class Meaning:
    """What an answer says, whoever says it."""

    def __init__(self):
        self.text = self.reasoning = ""
        self.tools, self.finish, self.usage, self.error = [], None, {}, False

    def facts(self):
        return {"text": self.text, "reasoning": self.reasoning, "tools": [(n, json.loads(a or "{}")) for n, a in self.tools],
                "finish": self.finish, "usage": {k: v for k, v in self.usage.items() if v is not None}}


def of_messages(documents, stream):
    out, blocks = Meaning(), {}
    usage = {}

    def block(b, index=None):
        blocks[index] = [b["type"], None]
        if b["type"] == "text":
            out.text += b.get("text", "")
        elif b["type"] == "thinking":
            out.reasoning += b.get("thinking", "")
        elif b["type"] == "tool_use":
            blocks[index][1] = len(out.tools)
            out.tools.append([b["name"], json.dumps(b["input"]) if b.get("input") else ""])

    reason = None
    for d in documents:
        if not stream:
            for b in d["content"]:
                block(b)
            usage, reason = d["usage"], d["stop_reason"]
        elif d["type"] == "message_start":
            usage = dict(d["message"]["usage"])
        elif d["type"] == "content_block_start":
            block(d["content_block"], d["index"])
        elif d["type"] == "content_block_delta":
            kind, tool = blocks[d["index"]]
            delta = d["delta"]
            out.text += delta.get("text", "")
            out.reasoning += delta.get("thinking", "")
            if kind == "tool_use":
                out.tools[tool][1] += delta.get("partial_json", "")
        elif d["type"] == "message_delta":
            usage.update(d["usage"])
            reason = d["delta"]["stop_reason"]
    read, written = usage.get("cache_read_input_tokens") or 0, usage.get("cache_creation_input_tokens") or 0
    out.usage = {"prompt": usage["input_tokens"] + read + written, "completion": usage["output_tokens"], "cached": usage.get("cache_read_input_tokens"),
                 "reasoning": (usage.get("output_tokens_details") or {}).get("thinking_tokens")}
    table = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "content_filter", "tool_use": "tool_calls"}
    out.finish = table.get(reason, "stop")
    if out.finish == "stop" and out.tools:
        out.finish = "tool_calls"
    return out


def of_gemini(documents, _):
    out, reason, usage = Meaning(), None, None
    partial = None

    def close():
        nonlocal partial
        if partial is not None:
            out.tools[-1][1] = json.dumps(partial)
        partial = None

    for d in documents:
        usage = d.get("usageMetadata", usage)
        if d.get("promptFeedback", {}).get("blockReason"):
            reason = "SAFETY"
        for c in d.get("candidates", []):
            reason = c.get("finishReason", reason)
            for p in c.get("content", {}).get("parts", []):
                if p.get("thought"):
                    out.reasoning += p.get("text", "")
                elif "text" in p:
                    out.text += p["text"]
                elif "functionCall" in p:
                    call = p["functionCall"]
                    if call.get("name"):
                        close()
                        out.tools.append([call["name"], ""])
                        partial = call.get("args") or {}
                    for piece in call.get("partialArgs", []):
                        at, keys = partial, re.findall(r"[^.$\[\]]+", piece["jsonPath"])
                        for k in keys[:-1]:
                            at = at.setdefault(k, {})
                        if "stringValue" in piece:
                            at[keys[-1]] = at.get(keys[-1], "") + piece["stringValue"]
                        else:
                            at[keys[-1]] = piece.get("numberValue", piece.get("boolValue"))
                    if not call.get("willContinue"):
                        close()
    close()
    if usage and any(k in usage for k in ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")):
        out.usage = {"prompt": usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0), "cached": usage.get("cachedContentTokenCount"),
                     "completion": usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0), "reasoning": usage.get("thoughtsTokenCount")}
    refused = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY", 3)
    out.finish = "length" if reason in ("MAX_TOKENS", 2) else "content_filter" if reason in refused else "tool_calls" if out.tools else "stop"
    return out


def of_converse(documents, stream):
    out, tools, reason, usage = Meaning(), {}, None, {}

    def block(b):
        out.text += b.get("text", "")
        for piece in (b.get("citationsContent") or {}).get("content", []):
            out.text += piece.get("text", "")
        out.reasoning += b.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
        if "toolUse" in b and b.get("type") != "server_tool_use" and b["toolUse"].get("type") != "server_tool_use":
            out.tools.append([b["toolUse"]["name"], json.dumps(b["toolUse"]["input"])])

    for kind, d in documents:
        if not stream:
            for b in d["output"]["message"]["content"]:
                block(b)
            reason, usage = d["stopReason"], d["usage"]
        elif kind == "contentBlockStart":
            if "toolUse" in d["start"] and d["start"]["toolUse"].get("type") != "server_tool_use":
                tools[d["contentBlockIndex"]] = len(out.tools)
                out.tools.append([d["start"]["toolUse"]["name"], ""])
        elif kind == "contentBlockDelta":
            delta = d["delta"]
            out.text += delta.get("text", "")
            out.reasoning += delta.get("reasoningContent", {}).get("text", "")
            if d["contentBlockIndex"] in tools:
                out.tools[tools[d["contentBlockIndex"]]][1] += delta.get("toolUse", {}).get("input", "")
        elif kind == "messageStop":
            reason = d["stopReason"]
        elif kind == "metadata":
            usage = d["usage"]
    if usage:
        read, written = (usage.get(k + "InputTokens", usage.get(k + "InputTokenCount")) for k in ("cacheRead", "cacheWrite"))
        out.usage = {"prompt": usage["inputTokens"] + (read or 0) + (written or 0), "completion": usage["outputTokens"], "cached": read, "reasoning": None}
    table = {"max_tokens": "length", "model_context_window_exceeded": "length", "guardrail_intervened": "content_filter", "content_filtered": "content_filter"}
    out.finish = table.get(reason, "tool_calls" if out.tools else "stop")
    return out


READERS = {"anthropic": of_messages, "vertex-anthropic": of_messages, "gemini": of_gemini, "bedrock": of_converse}


def of_chat(body, stream):
    """An OpenAI answer."""
    out, tools = Meaning(), {}
    for d in [json.loads(e) for e in events_of(body) if e != "[DONE]"] if stream else [json.loads(body)]:
        if d.get("usage"):
            u = d["usage"]
            out.usage = {"prompt": u["prompt_tokens"], "completion": u["completion_tokens"], "cached": u.get("prompt_tokens_details", {}).get("cached_tokens"),
                         "reasoning": u.get("completion_tokens_details", {}).get("reasoning_tokens")}
        if "error" in d:
            out.error = True
        for c in d.get("choices", []):
            part = c.get("delta" if stream else "message", {})
            out.text += part.get("content") or ""
            out.reasoning += part.get("reasoning_content") or ""
            for position, call in enumerate(part.get("tool_calls") or []):
                at = call.get("index", position)
                if at not in tools:
                    tools[at] = len(out.tools)
                    assert call["id"], "a call without an id"
                    out.tools.append([call["function"]["name"], ""])
                out.tools[tools[at]][1] += call["function"].get("arguments", "")
            out.finish = c.get("finish_reason") or out.finish
    return out


class Case:
    def __init__(self, number, row):
        self.number, self.file, self.api = number, row["file"], row["api"]
        self.type = APIS[self.api]
        self.provider, self.stream = row["provider"], row["stream"] == "1"
        recorded = json.loads((RECORDINGS / row["file"]).read_text())
        r = recorded["response"]
        self.status, self.kind = r["status"], r["headers"].get("content-type", "")
        self.several = recorded["fidelity"].get("responses_in_body", 1) > 1
        self.error_type = r["headers"].get("x-amzn-errortype", "")
        self.documents = None
        if self.type == "bedrock" and self.stream and self.status == 200:
            if "body_base64" in r:
                self.body = base64.b64decode(r["body_base64"])
                self.documents = [(e["event"], e["payload"]) for e in r["events_decoded"]]
            else:  # its binary frames were lost: made again
                self.documents = [next(iter(json.loads(x).items())) for x in r["body_text"].splitlines() if x.strip()]
                self.body = b"".join(aws_frame(k, v) for k, v in self.documents)
            self.kind = "application/vnd.amazon.eventstream"
        elif "body_text" in r:
            self.body = r["body_text"].encode()
            self.documents = [json.loads(e) for e in events_of(self.body) if e.startswith("{")]
            self.kind = self.kind or "text/event-stream"
        else:
            self.body = json.dumps(r["body"], ensure_ascii=False).encode()
            self.documents = r["body"] if isinstance(r["body"], list) else [r["body"]]
            self.kind = self.kind or "application/json"
            if self.type == "bedrock":
                self.documents = [("", d) for d in self.documents]
        # Errors rest their provider, so each case that has one gets a provider of its own.
        self.name = f"alone{number}" if self.status != 200 else self.type

    def expected(self):
        return READERS[self.type](self.documents, self.stream)


def load_cases(types):
    with open(RECORDINGS / "INDEX.tsv", newline="") as index:
        rows = [r for r in csv.DictReader(index, delimiter="\t") if APIS.get(r["api"]) in types]
    return [Case(n, r) for n, r in enumerate(rows)]


class ReplayProviders(Replays):
    TYPES = ("anthropic", "gemini", "bedrock", "vertex-anthropic")

    @classmethod
    def setUpClass(cls):
        cls.cases = load_cases(cls.TYPES)
        cls.upstream = Upstream(cls.serve)
        entries = {t: t for t in cls.TYPES} | {c.name: c.type for c in cls.cases if c.name not in cls.TYPES}
        cls.host = Portolan(settings(*[{"name": n, "type": t, "base_url": cls.upstream.base, "api_key": SYNTHETIC_KEYS[t], "models": "any",
                                        "circuit_breaker": NEVER_RESTS, "settings": SETTINGS.get(t, {})} for n, t in entries.items()]))

    @classmethod
    def serve(cls, call):
        if call.method == "GET":  # the host looks around on its own
            return call.reply(404, {"error": {"message": "no list here"}})
        name = re.search(r"case-\d+-\d+", call.path) or re.search(r"case-\d+-\d+", call.json["model"])
        number, seed = (int(x) for x in name.group(0).split("-")[1:])
        case = cls.cases[number]
        if case.status != 200:
            return call.reply(case.status, case.body, case.kind)
        call.in_pieces(case.kind, pieces_of(case.body, seed))

    def fetch(self, case, seed, stream):
        body = {"model": f"{case.name}/case-{case.number}-{seed}", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        if stream:
            body["stream_options"] = {"include_usage": True}
        answer = self.host.stream(body)
        try:
            return answer.head(), answer.read_all(), answer.complete
        finally:
            answer.close()

    def judge(self, case, seed, stream):
        """None if all is well, else what is wrong."""
        try:
            status, body, complete = self.fetch(case, seed, stream)
        except Exception as error:
            return f"no answer: {error!r}"
        if case.status != 200:
            unknown_model = b"model identifier is invalid" in case.body
            if status not in ((404,) if unknown_model else STATUS[case.status]):
                return f"upstream status {case.status} became {status}: {body[:300]!r}"
            return None if json.loads(body)["error"]["message"] else "no message"
        if case.several:  # the fixture joins several answers: the first one is an answer, what follows is its affair
            return None if status == 200 else f"status {status}: {body[:300]!r}"
        if status != 200 or not complete:
            return f"status {status}, complete {complete}: {body[-300:]!r}"
        if stream and not body.endswith(b"data: [DONE]\n\n"):
            return f"no end: {body[-300:]!r}"
        got, want = of_chat(body, stream).facts(), case.expected().facts()
        wrong = [f"{k}: {got[k]!r:.300} instead of {want[k]!r:.300}" for k in want if got[k] != want[k]]
        return "; ".join(wrong) or None

    def run_all(self, title, jobs):
        total, wrong = self.judge_all(jobs, lambda job: (job[0].provider, job[0].api))
        print(f"\n{title}\n{'provider':<14}{'api':<24}{'answers':>8}{'equal':>7}")
        for key in sorted(total):
            print(f"{key[0]:<14}{key[1]:<24}{total[key]:>8}{total[key] - len(wrong[key]):>7}")
        sys.stdout.flush()
        self.demand_all(total, wrong, 0)

    def test_a_every_case_in_one_piece(self):
        self.run_all("in one piece", [(c, 0, c.stream) for c in self.cases])

    def test_b_every_case_cut_at_random_offsets(self):
        rounds = 2 if SLOWNESS == 1 else 1
        self.run_all("cut at random offsets", [(c, SEED + r, c.stream) for c in self.cases if c.status == 200 for r in range(rounds)])

    def test_c_an_upstream_that_answers_in_the_other_form(self):
        """A stream where a whole answer was asked for and the other way round is put together all the same."""
        self.run_all("in the other form", [(c, SEED, not c.stream) for c in self.cases if c.status == 200])


if __name__ == "__main__":
    if not (RECORDINGS / "INDEX.tsv").exists():
        print(f"SKIPPED: no recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
