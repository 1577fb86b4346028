"""Recorded provider traffic through the real binary: every chat case, whole and re-cut, must come out as it went in."""

import collections
import csv
import json
import random
import re
import sys

from harness import SHARED, SKIPPED, SLOWNESS, Portolan, Upstream, events_of, provider, run_tests, settings
from replaying import NEVER_RESTS, Replays

RECORDINGS = SHARED / "data" / "recordings"
SEED = 20
# Members of a request that steer the host itself: "only OpenRouter's Amazon" cannot be met by the replay's provider.
EXTENSIONS = ("models", "route", "portolan", "provider")
# What the host may make of an upstream's error status (docs/operate/failures.md).
STATUS = {400: (400,), 401: (503,), 404: (404,), 429: (429,)}
# Groq's 400 for a tool call that the model got wrong: not the client's mistake, so the host counts it as transient.
MODELS_FAULT = "tool_use_failed"


class Case:
    def __init__(self, number, row):
        self.number, self.file, self.provider = number, row["file"], row["provider"]
        self.stream = row["stream"] == "1"
        recorded = json.loads((RECORDINGS / row["file"]).read_text())
        response = recorded["response"]
        self.status = response["status"]
        self.type = response["headers"].get("content-type") or ("text/event-stream" if self.stream else "application/json")
        self.body = response["body_text"].encode() if "body_text" in response else json.dumps(response["body"], ensure_ascii=False).encode()
        self.broken = "instream-error" in row["features"]
        request = (recorded.get("request") or {}).get("body")
        self.request = request if isinstance(request, dict) and request.get("messages") else {"messages": [{"role": "user", "content": "hello"}]}
        # Errors rest their provider, so each case that has one gets a provider of its own.
        self.name = f"alone{number}" if self.status != 200 or self.broken else "up"


def load_cases():
    with open(RECORDINGS / "INDEX.tsv", newline="") as index:
        rows = [r for r in csv.DictReader(index, delimiter="\t") if r["api"] == "chat"]
    return [Case(n, r) for n, r in enumerate(rows)]


def pieces_of(body, seed):
    """The body cut at random offsets, the same ones for the same seed."""
    if seed == 0 or len(body) < 2:
        return [body]
    chance = random.Random(seed)
    cuts = sorted({chance.randrange(1, len(body)) for _ in range(min(60, len(body) // 2))})
    return [body[a:b] for a, b in zip([0] + cuts, cuts + [len(body)])]


def without_usage_chunk(body):
    """The stream as a client gets it that did not ask for usage: the block with usage and no choice is left out."""
    out = b""
    for block in re.findall(rb".*?(?:\r?\n\r?\n|\Z)", body, re.S):
        data = b"".join(x[5:].strip() for x in block.splitlines() if x.startswith(b"data:"))
        if data.startswith(b"{"):
            value = json.loads(data)
            if value.get("usage") and value.get("choices") == []:
                continue
        out += block
    return out


def meaning(body, stream):
    """(texts, tool calls, finish reasons, usage) of an answer."""
    texts, tools, finish, usage = collections.defaultdict(str), collections.defaultdict(lambda: ["", "", ""]), [], None
    values = [json.loads(e) for e in events_of(body) if e != "[DONE]"] if stream else [json.loads(body)]
    for value in values:
        usage = value.get("usage") or usage
        for choice in value.get("choices") or []:
            at = choice.get("index", 0)
            part = choice.get("delta" if stream else "message") or {}
            texts[at] += json.dumps(part["content"]) if isinstance(part.get("content"), list) else part.get("content") or ""
            for position, call in enumerate(part.get("tool_calls") or []):
                tool = tools[at, call.get("index", position)]
                function = call.get("function") or {}
                tool[0] += call.get("id") or ""
                tool[1] += function.get("name") or ""
                arguments = function.get("arguments") or ""
                tool[2] += arguments if isinstance(arguments, str) else json.dumps(arguments)
            if choice.get("finish_reason"):
                finish.append((at, choice["finish_reason"]))
    return dict(texts), dict(tools), finish, usage


class Replay(Replays):
    @classmethod
    def setUpClass(cls):
        cls.cases = load_cases()
        cls.received = {}
        cls.upstream = Upstream(cls.serve)
        names = ["up"] + [c.name for c in cls.cases if c.name != "up"]
        cls.host = Portolan(settings(*[provider(cls.upstream.base, name=n, circuit_breaker=NEVER_RESTS) for n in names]))

    @classmethod
    def serve(cls, call):
        number, seed = (int(x) for x in re.fullmatch(r"case-(\d+)-(\d+)", call.json["model"]).groups())
        case = cls.cases[number]
        cls.received[call.json["model"]] = call.json
        pieces = pieces_of(case.body, seed)
        if case.status != 200:
            return call.reply(case.status, case.body, case.type)
        if len(pieces) == 1 and not case.stream:
            return call.reply(200, case.body, case.type)
        call.in_pieces(case.type, pieces)

    def fetch(self, case, seed, usage):
        model = f"case-{case.number}-{seed}"
        body = {k: v for k, v in case.request.items() if k not in ("stream", "stream_options", *EXTENSIONS)}
        body = {**body, "model": f"{case.name}/{model}", "stream": case.stream}
        if case.stream and usage:
            body["stream_options"] = {"include_usage": True}
        stream = self.host.stream(body)
        try:
            return model, body, stream.head(), stream.read_all(), stream.complete
        finally:
            stream.close()

    def judge(self, case, seed, usage=True):
        """None if all is well, else what is wrong."""
        try:
            model, sent, status, body, complete = self.fetch(case, seed, usage)
        except Exception as error:
            return f"no answer: {error!r}"
        if case.status != 200:
            if status not in ((503,) if MODELS_FAULT in case.file else STATUS[case.status]):
                return f"upstream status {case.status} became {status}: {body[:200]!r}"
            return None if json.loads(body)["error"]["message"] else "no message"
        if case.broken and status >= 400:  # it failed before any content: then a status says it better than an event
            return None if json.loads(body)["error"]["message"] else "no message"
        if status != 200:
            return f"status {status}: {body[:300]!r}"
        wanted = {**sent, "model": model}
        if case.stream:
            wanted["stream_options"] = {"include_usage": True}
        if self.received.get(model) != wanted:
            got = self.received.get(model) or {}
            return "the upstream got another request: " + ", ".join(sorted(k for k in {*got, *wanted} if got.get(k) != wanted.get(k)))
        if case.broken:
            events = events_of(body)
            if "[DONE]" in events or '"error"' not in body.decode():
                return f"an error in the stream is not shown as one: {body[-300:]!r}"
            return None
        if not complete:
            return f"the answer was cut: ...{body[-300:]!r}"
        expected = case.body if usage or not case.stream else without_usage_chunk(case.body)
        if case.stream and b"[DONE]" not in expected and body == expected + b"data: [DONE]\n\n":
            return None  # the end marker that the upstream left out is added (docs/operate/http.md)
        if case.stream and body != expected:
            at = next((i for i, (a, b) in enumerate(zip(body, expected)) if a != b), min(len(body), len(expected)))
            return f"bytes differ at {at}: got ...{body[max(0, at - 40):at + 80]!r}, sent ...{expected[max(0, at - 40):at + 80]!r}"
        if meaning(body, case.stream) != meaning(expected, case.stream):
            return f"meaning differs: {meaning(body, case.stream)} instead of {meaning(expected, case.stream)}"
        return None

    def run_all(self, title, jobs):
        total, wrong = self.judge_all(jobs, lambda job: job[0].provider)
        print(f"\n{title}\n{'provider':<22}{'cases':>6}{'equal':>7}")
        for name in sorted(total):
            print(f"{name:<22}{total[name]:>6}{total[name] - len(wrong[name]):>7}")
        print(f"{'all':<22}{sum(total.values()):>6}{sum(total.values()) - sum(map(len, wrong.values())):>7}")
        sys.stdout.flush()
        self.demand_all(total, wrong, 0)

    def test_a_every_case_in_one_piece(self):
        self.run_all("whole", [(c, 0) for c in self.cases])

    def test_b_every_case_cut_at_random_offsets(self):
        rounds = 2 if SLOWNESS == 1 else 1
        self.run_all("re-cut", [(c, SEED + r) for c in self.cases if c.status == 200 for r in range(rounds)])

    def test_c_streams_without_usage_when_it_was_not_asked_for(self):
        self.run_all("usage hidden", [(c, 0, False) for c in self.cases if c.stream] + [(c, SEED, False) for c in self.cases if c.stream])


if __name__ == "__main__":
    if not (RECORDINGS / "INDEX.tsv").exists():
        print(f"SKIPPED: no recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
