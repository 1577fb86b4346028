"""Every recorded answer that a plugin here can serve, asked for in every client dialect, whole and streamed: what comes out says what went in,
and is valid by the client's published types. Where both sides speak one dialect the bytes are the upstream's."""

import base64
import csv
import json
import re
import struct
import sys
import unittest
import zlib

import test_replay_providers as foreign
import test_replay_repaired as repaired
from dialects import READY, RECORDINGS, Chat, Gemini, GeminiArray, Messages, Responses, facts
from harness import SKIPPED, SLOWNESS, Portolan, Upstream, run_tests, settings
from replaying import NEVER_RESTS, Replays
from test_replay import MODELS_FAULT, STATUS, pieces_of

# provider entry -> type, path below the upstream, settings
ENTRIES = {"chat": ("openai-compatible", "/v1", {}), "mended": ("openai-compatible", "/v1", {"repair": True}), "responses": ("openai-responses", "/v1", {}),
           "cohere": ("cohere", "", {}), "ollama": ("ollama", "", {}), "anthropic": ("anthropic", "/v1", {}), "gemini": ("gemini", "/v1", {}),
           "bedrock": ("bedrock", "/v1", {}), "vertex-anthropic": ("vertex-anthropic", "/v1", {"project": "p"})}
ENTRY_OF = {"chat": "chat", "responses": "responses", "cohere-chat": "cohere", "ollama-native": "ollama", "messages": "anthropic",
            "generateContent": "gemini", "streamGenerateContent": "gemini", "converse": "bedrock", "converse-stream": "bedrock", "rawPredict": "vertex-anthropic"}
NATIVE = {"responses": "responses", "anthropic": "messages", "vertex-anthropic": "messages", "gemini": "gemini"}
# What is not valid by the published types, and stays so on purpose (docs/plugins/replay.md).
KNOWN = {"openrouter/chat--pai--test_openrouter_file_annotation--0.json": ("annotations[0]",)}


def finish_of_responses(value):
    reason = (value.get("incomplete_details") or {}).get("reason")
    return {"max_output_tokens": "length", "content_filter": "filter"}.get(reason)


def finish_of(api, values):
    """What the recording says of the end, None: nothing special."""
    said = None
    for v in values:
        if api == "chat":
            said = next((c["finish_reason"] for c in v.get("choices") or [] if c.get("index", 0) == 0 and c.get("finish_reason")), said)
        elif api == "cohere-chat":
            said = v.get("finish_reason") or (v.get("delta") or {}).get("finish_reason") or said
        elif api == "ollama-native":
            said = v.get("done_reason") or said
        else:
            final = v if v.get("object") == "response" else v.get("response") if v.get("type") in ("response.completed", "response.incomplete") else None
            said = finish_of_responses(final) if final else said
    return {"length": "length", "content_filter": "filter", "MAX_TOKENS": "length", "filter": "filter"}.get(said)


def refusals(api, values):
    """Refused in words of its own: they are text to dialects that have no other place for them."""
    if api == "messages":
        return "".join(((v.get("stop_details") or (v.get("delta") or {}).get("stop_details") or {}).get("explanation") or "") for v in values)
    if api in ("generateContent", "streamGenerateContent"):
        return "".join((v.get("promptFeedback") or {}).get("blockReasonMessage") or "" for v in values)
    if api == "chat":
        parts = [c.get("message") or c.get("delta") or {} for v in values for c in v.get("choices") or [] if c.get("index", 0) == 0]
        return "".join(p.get("refusal") or "" for p in parts)
    if api != "responses":
        return ""
    final = [v if v.get("object") == "response" else v.get("response") for v in values if v.get("object") == "response" or v.get("type") == "response.completed"]
    return "".join(c.get("refusal") or "" for r in final for i in r.get("output") or [] for c in i.get("content") or [])


def details_of(api, values):
    """(cached, reasoned) of the last usage, None where not said."""
    cached = reasoned = None
    for v in values:
        inner = v.get("response")
        usage = v.get("usage") or (inner.get("usage") if isinstance(inner, dict) else None) or {}
        for inputs, outputs in (("prompt_tokens_details", "completion_tokens_details"), ("input_tokens_details", "output_tokens_details")):
            cached = (usage.get(inputs) or {}).get("cached_tokens", cached)
            reasoned = (usage.get(outputs) or {}).get("reasoning_tokens", reasoned)
    return cached, reasoned


class Case:
    def __init__(self, number, row, source, want):
        self.number, self.file, self.provider, self.api = number, row["file"], row["provider"], row["api"]
        self.entry, self.stream, self.status = ENTRY_OF[row["api"]], row["stream"] == "1", int(row["status"])
        self.body, self.kind, self.want = source.body, getattr(source, "kind", None) or source.type, want
        self.refused = False
        self.array = self.stream and self.entry == "gemini" and self.body.lstrip().startswith(b"[")
        if getattr(source, "error_type", ""):
            self.error_type = source.error_type

    @property
    def native(self):
        return NATIVE.get(self.entry)

    def expected(self, got, dialect):
        """What the answer must say, by the rules for what upstreams say differently (traps 69 and 71)."""
        want = dict(self.want)
        if want["input"] is None:  # no usage was recorded
            want["input"], want["output"] = got["input"], got["output"]
        for part in ("cached", "reasoned"):
            if want[part] is None or not want[part] and not got[part]:
                want[part] = got[part]
        if want["cached"]:
            want["cached"] = min(want["cached"], want["input"])  # Azure's Grok has more of them than tokens
        if want["reasoned"] and dialect == "gemini":
            want["reasoned"] = min(want["reasoned"], want["output"])  # it is a part beside the other there
        if self.refused and got["finish"] in ("stop", "filter"):
            want["finish"] = got["finish"]
        return want


def read_case(number, row):
    """The case with what it says; None: not served."""
    if ENTRY_OF[row["api"]] in foreign.SYNTHETIC_KEYS:
        source = foreign.Case(number, row)
        if source.several:
            return None
        if source.status != 200:
            return Case(number, row, source, None)
        said = source.expected()
        got = said.facts()
        usage = got["usage"]
        finish = {"length": "length", "content_filter": "filter", "tool_calls": "calls"}.get(got["finish"], "stop")
        given = (usage["prompt"], usage["completion"]) if "prompt" in usage else None
        text = got["text"] + refusals(row["api"], source.documents)
        return Case(number, row, source, facts(text, got["reasoning"], got["tools"], finish, given, usage.get("cached"), usage.get("reasoning")))
    source = repaired.Case(number, row)
    if any(x in source.file for x in repaired.BROKEN_FIXTURES) or source.file.startswith(tuple(repaired.MISSED)):
        return None
    if row["api"] == "cohere-chat" and source.api == "cohere-chat" and (b'"generation_id"' in source.body or "/v1/chat" in row["file"]):
        return None
    if int(row["status"]) != 200 or "instream-error" in row["features"]:
        case = Case(number, row, source, None)
    else:
        said, values = source.meaning(), source.values()
        got = said.summary()
        calls = got["calls"].get(0, [])
        refusal = refusals(row["api"], values)
        finish = finish_of(row["api"], values) or ("calls" if calls else "stop")
        usage = (said.input, said.output or 0) if said.input is not None else None
        case = Case(number, row, source, facts(got["text"].get(0, "") + refusal, got["reasoning"].get(0, ""), calls, finish, usage, *details_of(row["api"], values)))
        case.refused = bool(refusal)
    if source.api == "writer":
        case.entry = "chat"
    return case


def load_cases():
    with open(RECORDINGS / "INDEX.tsv", newline="") as index:
        rows = [r for r in csv.DictReader(index, delimiter="\t") if r["api"] in ENTRY_OF]
    cases = [c for n, r in enumerate(rows) if (c := read_case(n, r)) is not None]
    return {c.number: c for c in cases}, len(rows)


DIALECTS = (Chat, Messages, Responses, Gemini)


class ReplayDialects(Replays):
    @classmethod
    def setUpClass(cls):
        cls.cases, cls.rows = load_cases()
        cls.speaks = {d.name: d() for d in (*DIALECTS, GeminiArray)}
        cls.upstream = Upstream(cls.serve)
        root = cls.upstream.base.removesuffix("/v1")

        def entry(name, of):
            kind, path, more = ENTRIES[of]
            return {"name": name, "type": kind, "base_url": root + path, "api_key": foreign.SYNTHETIC_KEYS.get(of, "sk-test"), "models": "any",
                    "circuit_breaker": NEVER_RESTS, **({"settings": more} if more else {})}

        # Errors rest their provider, so each that is recorded gets one of its own in every dialect.
        alone = [entry(f"alone{c.number}-{d.name}", c.entry) for c in cls.cases.values() if c.want is None for d in DIALECTS]
        cls.host = Portolan(settings(*[entry(name, name) for name in ENTRIES], *alone))

    @classmethod
    def serve(cls, call):
        found = re.search(r"case-(\d+)-(\d+)", call.path) or re.search(r"case-(\d+)-(\d+)", call.json["model"])
        number, seed = (int(x) for x in found.groups())
        case = cls.cases[number]
        if case.status != 200:
            headers = {"x-amzn-errortype": case.error_type} if hasattr(case, "error_type") else None
            return call.reply(case.status, case.body, case.kind, headers)
        call.in_pieces(case.kind, pieces_of(case.body, seed))

    def judge_error(self, case, dialect):
        speaks = self.speaks[dialect]
        reply = speaks.ask(self.host, f"alone{case.number}-{dialect}/case-{case.number}-0", case.stream)
        value = reply.json if reply.status != 200 else None
        if case.status == 200:  # an error inside of a stream, before any content: a status says it better than an event
            return None if reply.status >= 400 or b'"error"' in reply.body and b"[DONE]" not in reply.body else f"no error: {reply.body[-200:]!r}"
        may = (503,) if MODELS_FAULT in case.file or "appropriate_auth_error" in case.file else (404,) if b"model identifier is invalid" in case.body else foreign.STATUS.get(case.status, STATUS.get(case.status))
        if reply.status not in may:
            return f"upstream status {case.status} became {reply.status}: {reply.body[:200]!r}"
        if not value["error"]["message"]:
            return "no message"
        if speaks.error is None:
            return None if set(value["error"]) >= {"code", "message", "status"} and value["error"]["code"] == reply.status else f"no Gemini error: {value}"
        return "; ".join(speaks.error.mistakes(value)) or None

    def judge(self, case, dialect, seed, stream):
        """None if all is well, else what is wrong."""
        if case.want is None:
            return self.judge_error(case, dialect)
        entry = "mended" if case.entry == "chat" and dialect == "chat" else case.entry
        relayed = case.native == dialect and stream == case.stream and not case.array
        speaks = self.speaks[GeminiArray.name if case.array and stream and dialect == "gemini" else dialect]
        reply = speaks.ask(self.host, f"{entry}/case-{case.number}-{seed}", stream)
        if reply.status != 200:
            return f"status {reply.status}: {reply.body[:300]!r}"
        if relayed:
            return None if reply.body == case.body else f"relayed bytes differ: {reply.body[:200]!r}"
        mistakes, got = speaks.said(reply, stream)
        want = case.expected(got, dialect)
        wrong = [m for m in mistakes if not any(x in m for x in KNOWN.get(case.file, ()))][:3] + [f"{k}: {str(got[k])[:200]!r} instead of {str(want[k])[:200]!r}" for k in want if got[k] != want[k]]
        return "; ".join(wrong) or None

    def run_all(self, title, jobs):
        total, wrong = self.judge_all(jobs, lambda job: (job[0].provider, job[1]), lambda job: f"{job[0].file} as {job[1]}")
        names = [d.name for d in DIALECTS]
        print(f"\n{title}: equal of asked\n{'provider':<22}" + "".join(f"{n:>14}" for n in names))
        for provider in sorted({p for p, _ in total}):
            print(f"{provider:<22}" + "".join(f"{total[provider, n] - len(wrong[provider, n]):>7}/{total[provider, n]:<6}" for n in names))
        print(f"{'all':<22}" + "".join(f"{sum(v - len(wrong[k]) for k, v in total.items() if k[1] == n):>7}/{sum(v for k, v in total.items() if k[1] == n):<6}" for n in names))
        sys.stdout.flush()
        self.demand_all(total, wrong, 1000, shown=60)

    def jobs(self, wanted, other_form):
        for c in self.cases.values():
            for d in DIALECTS:
                if wanted(c) and not (other_form and c.want is None):
                    yield c, d.name, zlib.crc32(f"{c.file} {d.name}".encode()) % 100000 + 1, c.stream != other_form

    def test_a_whole_answers(self):
        self.run_all("whole answers", list(self.jobs(lambda c: not c.stream, False)))

    def test_b_streams(self):
        self.run_all("streams", list(self.jobs(lambda c: c.stream, False)))

    def test_c_the_other_form_than_was_recorded(self):
        """The upstream answers whole where a stream was asked for, and the other way round. Ollama's lines are taken for a bad reply then."""
        self.run_all("in the other form", list(self.jobs(lambda c: c.entry != "ollama" or not c.stream, True)))


COUNTING = {"messages": ("/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hello"}]}, "input_tokens"),
            "responses": ("/v1/responses/input_tokens", {"input": "hello"}, "input_tokens"),
            "gemini": ("/v1beta/models/{}:countTokens", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}, "totalTokens")}
COUNTED = {"anthropic/count_tokens": "anthropic", "gemini/count_tokens": "gemini", "vertex/count_tokens": "gemini", "bedrock/count_tokens": "bedrock"}
EMBEDDED = {"cohere/embeddings": "cohere", "gemini/embeddings": "gemini", "ollama/embeddings": "ollama"}


def vectors_of(body):
    if isinstance(body["embeddings"], dict):  # Cohere, by type
        return body["embeddings"]["float"]
    return [v["values"] if isinstance(v, dict) else v for v in body["embeddings"]]


class Operations(unittest.TestCase):
    """What is no conversation, of providers with a form of their own for it; those of OpenAI's form are in test_operations.py."""

    def replay(self, kinds, ask):
        """Each recorded answer once: `ask(host, entry, recorded body, status)` says what is wrong."""
        with open(RECORDINGS / "INDEX.tsv", newline="") as index:
            rows = [r for r in csv.DictReader(index, delimiter="\t") if r["file"].startswith(tuple(kinds)) and "ollama_embeddings_legacy" not in r["file"]]  # another path
        seen, wrong = 0, []
        for row in rows:
            response = json.loads((RECORDINGS / row["file"]).read_text())["response"]
            entry = next(e for k, e in kinds.items() if row["file"].startswith(k))
            with Upstream(lambda call, r=response: call.reply(r["status"], r["body"])) as upstream:
                config = {"name": "up", "type": entry, "base_url": upstream.base.removesuffix("/v1"), "api_key": "sk-test", "models": "any"}
                with Portolan(settings(config)) as host:
                    verdict = ask(host, response["body"], response["status"])
            wrong += [f"{row['file']}: {verdict}"] if verdict else []
            seen += 1
        print(f"\n{seen} recorded answers", file=sys.stderr)
        self.assertGreater(seen, 3)
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_tokens_counted_by_the_provider_are_told_in_every_dialect(self):
        def ask(host, body, status):
            for dialect, (path, request, member) in COUNTING.items():
                model = "up/m" if "{}" not in path else "up%2Fm"
                reply = host.ask("POST", path.format(model), request if "{}" in path else {**request, "model": model})
                if "support counting" in body.get("message", ""):  # Bedrock, of some models
                    if (reply.status, reply.headers.get("x-portolan-warning")) != (200, "the number of tokens is an estimate") or reply.json[member] < 1:
                        return f"{dialect}: {reply.status} {reply.body[:200]} is no estimate"
                    continue
                if reply.status != status:
                    return f"{dialect}: status {reply.status} for {status}"
                if status == 200 and reply.json[member] != next(body[name] for name in ("input_tokens", "totalTokens", "inputTokens") if name in body):
                    return f"{dialect}: {reply.json} for {body}"
            return None

        self.replay(COUNTED, ask)

    def test_vectors_come_out_as_numbers_and_as_base64(self):
        def ask(host, body, status):
            texts = ["a"] * (len(vectors_of(body)) if status == 200 else 1)
            reply = host.ask("POST", "/v1/embeddings", {"model": "up/m", "input": texts})
            if reply.status != status:
                return f"status {reply.status}: {reply.body[:200]}"
            if status != 200:
                return None if reply.json["error"]["message"] else "no message"
            want = vectors_of(body)
            if [d["embedding"] for d in reply.json["data"]] != want:
                return "other vectors"
            packed = host.ask("POST", "/v1/embeddings", {"model": "up/m", "input": texts, "encoding_format": "base64"}).json
            got = [struct.unpack(f"<{len(w)}f", base64.b64decode(d["embedding"])) for d, w in zip(packed["data"], want)]
            return None if all(abs(a - b) < 1e-6 for g, w in zip(got, want) for a, b in zip(g, w)) else "base64 holds other vectors"

        self.replay(EMBEDDED, ask)


if __name__ == "__main__":
    if not READY:
        print(f"SKIPPED: needs python3-jsonschema, and recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
