"""Recorded traffic of providers that are not quite OpenAI, asked in OpenAI's chat dialect: what comes out means what went in, and is as OpenAI has it."""

import collections
import csv
import json
import random
import re
import sys

from harness import SHARED, SKIPPED, SLOWNESS, Portolan, Upstream, events_of, run_tests, settings
from replaying import NEVER_RESTS, Replays

RECORDINGS = SHARED / "data" / "recordings"
SEED = 31
REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")
# Cases that no provider here can serve, with the reason. Everything else must be equal.
MISSED = {
    "ollama/ollama-native--ollm--test_ollama_streaming_generation": "/api/generate: a completion, not a chat",
}
# The recorder joined replies of several turns in one body, or shortened it.
BROKEN_FIXTURES = ("cerebras/chat--pai--test_cerebras_streaming_with_tools", "cererebras-structured-output-tools.1", "openai-phase.1--0-s", "openai-reasoning-encrypted-content.1--0-s")


class Meaning:
    """What an answer says, read from any provider's form."""

    def __init__(self):
        self.text, self.reasoning = collections.defaultdict(str), collections.defaultdict(str)
        self.calls = collections.defaultdict(dict)  # choice -> key -> [name, arguments]
        self.details = collections.defaultdict(str)  # the same once more, or all there is of it
        self.input = self.output = None

    def call(self, choice, key, name="", arguments=""):
        entry = self.calls[choice].setdefault(key, ["", ""])
        entry[0] = entry[0] or name or ""
        entry[1] += arguments or ""

    def summary(self):
        calls = {c: [(n, parsed(a)) for n, a in calls.values()] for c, calls in self.calls.items() if calls}
        return {"text": {k: v for k, v in self.text.items() if v}, "reasoning": {k: v for k, v in {k: v or self.details[k] for k, v in self.reasoning.items()}.items() if v}, "calls": calls}


def parsed(arguments):
    if not isinstance(arguments, str):
        return arguments
    try:
        value = json.loads(arguments or "{}")
        return value if value is not None else {}
    except ValueError:
        return arguments


def parts(content, m, choice):
    for part in content:
        if isinstance(part, str):
            m.text[choice] += part
        elif part.get("type") == "thinking":
            inner = part["thinking"]
            m.reasoning[choice] += inner if isinstance(inner, str) else "".join(x.get("text", "") for x in inner)
        else:
            m.text[choice] += part.get("text") or ""


def read_openai(values, m, whole):
    last = {}
    for value in values:
        usage = value.get("usage") or (value.get("x_groq") or {}).get("usage")
        if usage:
            m.input, m.output = usage.get("prompt_tokens", m.input), usage.get("completion_tokens", m.output)
            details = usage.get("completion_tokens_details") or {}
            reasoning = details.get("reasoning_tokens") or 0
            if reasoning and usage.get("total_tokens") == m.input + m.output + reasoning:
                m.output += reasoning  # xAI
        for place, choice in enumerate(value.get("choices") or []):
            at = choice.get("index", place)
            part = choice.get("message" if whole else "delta") or {}
            content = part.get("content")
            if isinstance(content, list):
                parts(content, m, at)
            else:
                m.text[at] += content or ""
            m.reasoning[at] += part.get("reasoning_content") or part.get("reasoning") or ""
            m.details[at] += "".join(d.get("text") or d.get("summary") or "" for d in part.get("reasoning_details") or [])
            legacy = part.get("function_call") or {}
            if legacy.get("name") or legacy.get("arguments"):
                m.call(at, "function", legacy.get("name"), legacy.get("arguments"))
            for position, call in enumerate(part.get("tool_calls") or []):
                function = call.get("function") or {}
                index = call.get("index", position)
                if (call.get("id") and last.get((at, index), call["id"]) != call["id"]):
                    index = (index, call["id"])  # a second call under a used index
                if call.get("id"):
                    last[at, call.get("index", position)] = call["id"]
                arguments = function.get("arguments")
                m.call(at, index, function.get("name"), arguments if isinstance(arguments, str) or arguments is None else json.dumps(arguments))


def read_cohere(values, m, whole):
    for value in values:
        if whole:
            message = value["message"]
            parts(message.get("content") or [], m, 0)
            m.reasoning[0] += message.get("tool_plan") or ""
            for n, call in enumerate(message.get("tool_calls") or []):
                m.call(0, n, call["function"]["name"], call["function"]["arguments"])
        else:
            message = (value.get("delta") or {}).get("message") or {} if value["type"] != "message-end" else {}
            content = message.get("content") if isinstance(message.get("content"), dict) else {}
            m.text[0] += content.get("text") or ""
            m.reasoning[0] += (content.get("thinking") or "") + (message.get("tool_plan") or "")
            if isinstance(message.get("tool_calls"), dict):
                function = message["tool_calls"]["function"]
                m.call(0, value["index"], function.get("name"), function.get("arguments"))
        usage = value.get("usage") or ((value.get("delta") or {}) if not whole else {}).get("usage")
        if usage and usage.get("billed_units"):
            m.input, m.output = usage["billed_units"].get("input_tokens"), usage["billed_units"].get("output_tokens")


def read_ollama(values, m, _):
    calls = 0
    for value in values:
        message = value.get("message") or {}
        m.text[0] += message.get("content") or ""
        m.reasoning[0] += message.get("thinking") or ""
        for call in message.get("tool_calls") or []:
            m.call(0, calls, call["function"]["name"], json.dumps(call["function"]["arguments"]))
            calls += 1
        if value.get("done"):
            m.input, m.output = value.get("prompt_eval_count"), value.get("eval_count")


def read_responses(values, m, whole):
    final = values[0] if whole else next(v["response"] for v in reversed(values) if v.get("type") in ("response.completed", "response.incomplete"))
    for n, item in enumerate(final.get("output") or []):
        if item["type"] == "message":
            m.text[0] += "".join(c.get("text") or "" for c in item["content"] if c["type"] == "output_text")
        elif item["type"] == "function_call":
            m.call(0, n, item["name"], item["arguments"])
        elif item["type"] == "custom_tool_call":
            m.call(0, n, item["name"], json.dumps({"input": item["input"]}))
        elif item["type"] == "reasoning":
            m.reasoning[0] += "".join(s["text"] for s in item.get("summary") or []) or "".join(c.get("text", "") for c in item.get("content") or [])
    usage = final.get("usage") or {}
    m.input, m.output = usage.get("input_tokens"), usage.get("output_tokens")


READERS = {"chat": read_openai, "writer": read_openai, "cohere-chat": read_cohere, "ollama-native": read_ollama, "responses": read_responses}
PLUGINS = {"chat": ("openai-compatible", "/v1", {"repair": True}), "writer": ("openai-compatible", "/v1", {"repair": True}), "cohere-chat": ("cohere", "", {}),
           "ollama-native": ("ollama", "", {}), "responses": ("openai-responses", "/v1", {})}


class Case:
    def __init__(self, number, row):
        self.number, self.file, self.provider, self.stream = number, row["file"], row["provider"], row["stream"] == "1"
        self.api = "writer" if row["provider"] == "writer" else row["api"]
        response = json.loads((RECORDINGS / row["file"]).read_text())["response"]
        fallback = "application/x-ndjson" if self.api == "ollama-native" else "text/event-stream"
        self.type = response["headers"].get("content-type") or (fallback if self.stream else "application/json")
        self.body = response["body_text"].encode() if "body_text" in response else json.dumps(response["body"], ensure_ascii=False).encode()

    def values(self):
        if not self.stream:
            return [json.loads(self.body)]
        if self.api == "ollama-native":
            return [json.loads(line) for line in self.body.splitlines() if line.strip()]
        return [json.loads(e) for e in events_of(self.body) if e.strip().startswith("{")]

    def meaning(self):
        m = Meaning()
        READERS[self.api](self.values(), m, not self.stream)
        return m


def load_cases():
    with open(RECORDINGS / "INDEX.tsv", newline="") as index:
        rows = [r for r in csv.DictReader(index, delimiter="\t") if r["api"] in READERS]
    served = [r for r in rows if r["status"] == "200" and "instream-error" not in r["features"] and not r["file"].startswith(tuple(MISSED))]
    served = [r for r in served if not any(x in r["file"] for x in BROKEN_FIXTURES)]
    cases = [Case(n, r) for n, r in enumerate(served)]
    first_api = [c for c in cases if c.api == "cohere-chat" and b'"generation_id"' in c.body]  # Cohere's /v1/chat, retired: another protocol
    for case in first_api:
        print(f"not served (Cohere's first API): {case.file}")
    cases = [c for c in cases if c not in first_api]
    for number, case in enumerate(cases):
        case.number = number
    return cases


def pieces_of(body, seed):
    if seed == 0 or len(body) < 2:
        return [body]
    chance = random.Random(seed)
    cuts = sorted({chance.randrange(1, len(body)) for _ in range(min(60, len(body) // 2))})
    return [body[a:b] for a, b in zip([0] + cuts, cuts + [len(body)])]


def check_form(values, stream):
    """What is wrong with an answer as OpenAI's own; None: nothing."""
    finishes = collections.Counter()
    if stream:
        for name in ("id", "model", "created", "object"):
            if len({v.get(name) for v in values}) != 1:
                return f"{name} changes or is missing"
    roles, indexes, usages = collections.Counter(), collections.defaultdict(list), 0
    for value in values:
        usages += bool(value.get("usage"))
        if stream and value.get("usage") and value["choices"]:
            return "usage beside a choice"
        for choice in value["choices"]:
            at, part = choice["index"], choice["delta" if stream else "message"]
            roles[at] += "role" in part
            if part.get("content") is not None and not isinstance(part["content"], str):
                return "content is no string"
            if (part.get("reasoning_content") is None) != (part.get("reasoning") is None):
                return "reasoning under one name only"
            for call in part.get("tool_calls") or []:
                if stream and "id" in call:
                    indexes[at].append(call["index"])
                if ("id" in call or not stream) and not (call.get("id") and call["type"] == "function" and call["function"]["name"]):
                    return f"a call without id, type or name: {call}"
            if choice.get("finish_reason") is not None:
                finishes[at] += 1
                if choice["finish_reason"] not in REASONS:
                    return f"finish reason {choice['finish_reason']}"
                called = bool(indexes[at]) if stream else bool(part.get("tool_calls"))
                if (choice["finish_reason"] == "tool_calls") != called and choice["finish_reason"] in ("stop", "tool_calls"):
                    return f"finish reason {choice['finish_reason']} with{'' if called else 'out'} calls"
    if any(n != 1 for n in finishes.values()) or not finishes:
        return f"finish reasons: {dict(finishes)}"
    if any(n != 1 for n in roles.values()):
        return f"roles: {dict(roles)}"
    if any(numbers != list(range(len(numbers))) for numbers in indexes.values()):
        return f"tool indexes: {dict(indexes)}"
    return "usage more than once" if usages > 1 else None


class Replay(Replays):
    @classmethod
    def setUpClass(cls):
        cls.cases = load_cases()
        cls.upstream = Upstream(cls.serve)
        root = cls.upstream.base.removesuffix("/v1")
        cls.apis = sorted({c.api for c in cls.cases})
        entries = [{"name": api, "type": PLUGINS[api][0], "base_url": root + PLUGINS[api][1], "api_key": "sk-test", "models": "any",
                    "circuit_breaker": NEVER_RESTS, **({"settings": PLUGINS[api][2]} if PLUGINS[api][2] else {})} for api in cls.apis]
        cls.host = Portolan(settings(*entries))

    @classmethod
    def serve(cls, call):
        number, seed = (int(x) for x in re.fullmatch(r"case-(\d+)-(\d+)", call.json["model"]).groups())
        case = cls.cases[number]
        if bool(call.json.get("stream", case.api == "ollama-native")) != case.stream:
            raise AssertionError(f"{case.file}: asked with stream {call.json.get('stream')}")
        pieces = pieces_of(case.body, seed)
        if not case.stream and seed == 0:
            return call.reply(200, case.body, case.type)
        call.in_pieces(case.type, pieces)

    def judge(self, case, seed):
        body = {"model": f"{case.api}/case-{case.number}-{seed}", "messages": [{"role": "user", "content": "hello"}], "stream": case.stream}
        if case.stream:
            body["stream_options"] = {"include_usage": True}
        stream = self.host.stream(body)
        try:
            status, answer, complete = stream.head(), stream.read_all(), stream.complete
        except Exception as error:
            return f"no answer: {error!r}"
        finally:
            stream.close()
        if status != 200 or not complete:
            return f"status {status}, complete {complete}: {answer[-300:]!r}"
        if case.stream and (answer.count(b"[DONE]") != 1 or not answer.endswith(b"data: [DONE]\n\n")):
            return "[DONE] is not the end"
        values = [json.loads(e) for e in events_of(answer) if e != "[DONE]"] if case.stream else [json.loads(answer)]
        if any("error" in v for v in values):
            return f"an error: {answer[-300:]!r}"
        fault = check_form(values, case.stream)
        if fault:
            return fault
        expected, got = case.meaning(), Meaning()
        read_openai(values, got, not case.stream)
        if expected.summary() != got.summary():
            return f"{got.summary()} instead of {expected.summary()}"[:600]
        if expected.input is not None and (expected.input, expected.output or 0) != (got.input, got.output or 0):
            return f"usage {got.input} {got.output} instead of {expected.input} {expected.output}"
        return None

    def run_all(self, title, jobs):
        total, wrong = self.judge_all(jobs, lambda job: (job[0].api, job[0].provider))
        print(f"\n{title}\n{'form':<16}{'provider':<22}{'cases':>6}{'equal':>7}")
        for key in sorted(total):
            print(f"{key[0]:<16}{key[1]:<22}{total[key]:>6}{total[key] - len(wrong[key]):>7}")
        print(f"{'all':<38}{sum(total.values()):>6}{sum(total.values()) - sum(map(len, wrong.values())):>7}")
        sys.stdout.flush()
        self.demand_all(total, wrong, 500)

    def test_a_every_case_in_one_piece(self):
        self.run_all("whole", [(c, 0) for c in self.cases])

    def test_b_every_case_cut_at_random_offsets(self):
        self.run_all("re-cut", [(c, SEED + r) for c in self.cases for r in range(2 if SLOWNESS == 1 else 1)])


if __name__ == "__main__":
    if not (RECORDINGS / "INDEX.tsv").exists():
        print(f"SKIPPED: no recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
