"""Every fault of an upstream, in every phase, streamed or not, with and without a second target, in OpenAI's and in Anthropic's language:
fault_matrix.txt says what must come of it, fault_matrix_anthropic.txt where that language has it otherwise."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import time
import unittest

from faultd import Faultd
from harness import SLOWNESS, Portolan, ask_for, events_of, provider, run_tests, settings, wait_until

HERE = pathlib.Path(__file__).parent
COLUMNS = [("whole", "alone"), ("streamed", "alone"), ("whole", "fallback"), ("streamed", "fallback")]
# Faults that are about time meet short limits; the others must not be taken for one because the machine was busy.
TIMED = {"stall", "late", "comments", "empty_events", "full", "tls"}
HOPELESS = ("quota", "upstream_auth", "content_policy")  # a second try would end the same
LATE_MS = 1200 * SLOWNESS
LONGEST = 2.0 * SLOWNESS
KEY = "sk-upstream-0123456789abcdef"
HELLO = "Hello from faultd"


class OpenAi:
    """How clients of a dialect ask, what its providers are called, and what they make of an answer."""
    name, path, provider_type, tables = "openai", "/v1/chat/completions", "openai-compatible", ["fault_matrix.txt"]

    @staticmethod
    def base(url):
        return url

    @staticmethod
    def ask(model, stream):
        return ask_for(model, stream=stream)

    @staticmethod
    def status(status, code):
        return int(status)

    @staticmethod
    def whole(body):
        choice = json.loads(body)["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    @staticmethod
    def text(events):
        return "".join((c.get("delta") or {}).get("content") or "" for e in events if e != "[DONE]" for c in json.loads(e).get("choices") or [])

    @staticmethod
    def reasons(events):
        return [c["finish_reason"] for e in events if e != "[DONE]" for c in json.loads(e).get("choices") or [] if c.get("finish_reason")]

    finished, is_end = "stop", staticmethod(lambda event: event == "[DONE]")

    @staticmethod
    def tokens(cell):
        return None if cell.phase == "after_finish" else 4  # usage has an event of its own, behind the finish reason


class Anthropic:
    name, path, provider_type, tables = "anthropic", "/v1/messages", "anthropic", ["fault_matrix.txt", "fault_matrix_anthropic.txt"]

    @staticmethod
    def base(url):
        return url.removesuffix("/v1")

    @staticmethod
    def ask(model, stream):
        return ask_for(model, stream=stream, max_tokens=100)

    @staticmethod
    def status(status, code):
        return 529 if code == "upstream_overloaded" else int(status)

    @staticmethod
    def whole(body):
        message = json.loads(body)
        return message["content"][0]["text"], message["stop_reason"]

    @staticmethod
    def text(events):
        return "".join((json.loads(e).get("delta") or {}).get("text") or "" for e in events)

    @staticmethod
    def reasons(events):
        return [e["delta"]["stop_reason"] for e in map(json.loads, events) if e["type"] == "message_delta"]

    finished, is_end = "end_turn", staticmethod(lambda event: json.loads(event)["type"] == "message_stop")

    @staticmethod
    def tokens(cell):
        return 4


class Cell:
    def __init__(self, dialect, number, fault, phase, column, text):
        self.dialect = dialect
        self.fault, self.phase, self.shape, self.setting = fault, phase, *column
        self.name = f"{fault}@{phase} {self.shape} {self.setting}"
        self.target = f"c{number}"
        result, attempts, health = (part.strip() for part in text.split("/"))
        self.result, _, retry = result.partition(" retry=")
        self.retry_after = int(retry) if retry else None
        self.attempts = attempts.split(",")
        self.failures, self.rests = int(health.split()[0]), health.endswith("rests")

    @property
    def streamed(self):
        return self.shape == "streamed"

    @property
    def timeouts(self):
        ms = (500 if self.fault in TIMED else 8000) * SLOWNESS
        return {"connect_ms": ms, "first_byte_ms": ms, "first_token_ms": ms, "idle_ms": ms}

    @property
    def provider(self):
        if self.phase == "port":
            base = Cell.upstream.base("http", "https") if self.fault == "tls" else Cell.upstream.base(self.fault)
            headers = {}
        else:
            base = Cell.upstream.own_base()
            fault = f"late:{LATE_MS}" if self.fault == "late" else self.fault
            headers = {"x-fault": f"{fault}@{self.phase}", "x-fault-key": self.target}
        return provider(self.dialect.base(base), name=self.target, type=self.dialect.provider_type, models=["m"], api_key=KEY,
                        timeouts=self.timeouts, extra_headers=headers)

    @property
    def route(self):
        return {"name": f"r-{self.target}", "policy": "priority", "targets": [f"{self.target}/m", "good/m"]}

    @property
    def model(self):
        return f"r-{self.target}" if self.setting == "fallback" else f"{self.target}/m"


def cells(dialect):
    out = {}
    lines = [line for table in dialect.tables for line in (HERE / table).read_text().splitlines()]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        subject, *columns = [part.strip() for part in line.split("|")]
        assert len(columns) == len(COLUMNS), line
        faults, phases = (part.split() for part in subject.split("@"))
        last = None
        for column, text in zip(COLUMNS, columns):
            last = last if text == "=" else text
            for cell in [(fault, phase, column) for fault in faults for phase in phases]:
                out[cell] = None if text == "-" else last
    return [Cell(dialect, number, *cell, text) for number, (cell, text) in enumerate(out.items()) if text]


class Answered:
    """One exchange on an open connection, read to its end."""

    def __init__(self, connection, cell):
        began = time.monotonic()
        connection.request("POST", cell.dialect.path, json.dumps(cell.dialect.ask(cell.model, cell.streamed)), {"content-type": "application/json"})
        reply = connection.getresponse()
        self.status, self.headers = reply.status, {k.lower(): v for k, v in reply.getheaders()}
        self.body = reply.read()  # raises IncompleteRead unless it ended as HTTP says it must
        self.took = time.monotonic() - began


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(got, wanted, what):
    expect(got == wanted, f"{what} is {got!r}, not {wanted!r}")


def error_in(data, code):
    error = json.loads(data)["error"]
    equal(error["code"], code, "error.code")
    expect(error["message"] and error["type"], f"an error without message or type: {error}")
    return error


def check_answer(cell, reply):
    equal(reply.status, 200, "status")
    if not cell.streamed:
        return equal(cell.dialect.whole(reply.body), (HELLO, cell.dialect.finished), "content and finish reason")
    events = events_of(reply.body)
    equal(cell.dialect.text(events), HELLO, "content")
    equal(cell.dialect.reasons(events), [cell.dialect.finished], "finish reasons")
    expect(not any('"error"' in e for e in events), f"an error in {events}")


def check_cut(cell, reply, code):
    equal(reply.status, 200, "status")
    *before, last = events_of(reply.body)
    expect(not any(map(cell.dialect.is_end, before + [last])), "the mark of a good end beside an error")
    equal(cell.dialect.text(before), HELLO, "content before the error")
    expect(not any('"error"' in e for e in before), f"more than one error in {before}")
    error_in(last, code)


def check_error(cell, reply, status, code):
    equal(reply.status, cell.dialect.status(status, code), "status")
    equal(reply.headers["content-type"], "application/json", "content-type")
    error = error_in(reply.body, code)
    expect(KEY not in reply.body.decode() and "sk-faultd" not in reply.body.decode(), "a key in the error")
    if len(cell.attempts) > 1 or cell.attempts[-1] in HOPELESS:
        equal(reply.headers.get("x-should-retry"), "false", "x-should-retry")
    if len(cell.attempts) > 1:
        equal([a["fault"] for a in error["attempts"]], cell.attempts, "error.attempts")
    if reply.status == 429:
        expect(int(reply.headers["retry-after"]) >= 1, "no Retry-After with a 429")
    elif reply.status < 500:
        expect("retry-after" not in reply.headers, "a Retry-After that helps nobody")
    if cell.retry_after:
        equal(int(reply.headers["retry-after"]), cell.retry_after, "Retry-After")


def check_log(cell, host, reply):
    def written():  # after the answer's last byte
        row = host.get(f"/api/logs/{reply.headers['x-request-id']}")
        return row.json if row.status == 200 else None

    row = wait_until(written, what="the line in the log")
    equal([a.get("fault", "ok") for a in row["attempts"]], cell.attempts, "attempts in the log")
    equal(row["status"], reply.status, "status in the log")
    equal(row["stream"], cell.streamed, "stream in the log")
    equal(row.get("fault", "ok"), cell.attempts[-1], "fault in the log")
    targets = [a["target"] for a in row["attempts"]]
    if cell.setting == "fallback" and len(targets) > 1:
        equal(targets, [f"{cell.target}/m", "good/m"], "targets in the log")
    else:
        equal(set(targets), {f"{cell.target}/m"}, "targets in the log")
    if cell.result == "answer":
        equal(row.get("tokens_out"), cell.dialect.tokens(cell), "tokens in the log")


def check_health(cell, host):
    explained = host.ask("POST", "/api/route/explain", ask_for(f"{cell.target}/m")).json
    target = next(c for c in explained["candidates"] if c["provider"] == cell.target)
    equal(target["failures"], cell.failures, "failures of the target")
    equal(target["cooling"], cell.rests, "whether the target rests")


def check_calls(cell):
    if cell.phase == "port":
        return
    calls = Cell.upstream.seen(cell.target)["calls"]
    wanted = len([a for a in cell.attempts if cell.setting == "alone" or a != "ok"])
    if cell.phase == "reused":
        warm, stale = 1, cell.fault in ("reset", "close")
        wanted = warm + (2 if stale else sum(1 for a in cell.attempts if a != "ok"))
        if cell.setting == "alone" and not stale:
            wanted = warm + len(cell.attempts)
    elif cell.setting == "fallback" and cell.attempts[0] == "ok":
        wanted = 1
    equal(calls, wanted, "calls that the upstream saw")


def try_cell(cell, host):
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=20 * SLOWNESS)
    try:
        if cell.phase == "reused":
            equal(Answered(connection, cell).status, 200, "status of the first request")
        reply = Answered(connection, cell)
        kind, _, code = cell.result.partition(":")
        if kind == "answer":
            check_answer(cell, reply)
        elif kind == "cut":
            check_cut(cell, reply, code)
        else:
            check_error(cell, reply, kind, code)
        check_log(cell, host, reply)
        check_health(cell, host)
        check_calls(cell)
        expect(reply.took < LONGEST, f"it took {reply.took:.2f} s")
        return None
    except Exception as error:  # one line for each cell that failed, whatever it was
        return f"{cell.name}: {type(error).__name__ if not isinstance(error, AssertionError) else ''} {error}"
    finally:
        connection.close()


class FaultMatrix(unittest.TestCase):
    def every_cell(self, dialect):
        every = cells(dialect)
        self.assertGreaterEqual(len(every), 400)
        self.assertGreaterEqual(len({c.fault for c in every}), 30)
        chosen = [c for c in every if os.environ.get("FAULT_CELLS", "") in c.name]  # to look at some of them alone
        with Faultd() as Cell.upstream:
            good = provider(dialect.base(Cell.upstream.base()), name="good", type=dialect.provider_type, models=["m"])
            routes = [c.route for c in chosen if c.setting == "fallback"]
            # One loop, so that a connection which was used once is the one that is used again.
            with Portolan(settings(*[c.provider for c in chosen], good, routes=routes, server={"loops": 1}, logging={"level": "error"})) as host:
                began = time.monotonic()
                with concurrent.futures.ThreadPoolExecutor(16) as pool:
                    failed = [f for f in pool.map(lambda c: try_cell(c, host), chosen) if f]
                print(f"{dialect.name}: {len(chosen)} cells in {time.monotonic() - began:.1f} s", flush=True)
                if failed:
                    self.fail(f"{len(failed)} of {len(chosen)} cells:\n" + "\n".join(failed))

    def test_every_cell_ends_as_the_table_says(self):
        self.every_cell(OpenAi)

    def test_every_cell_ends_so_in_the_language_of_anthropic_too(self):
        self.every_cell(Anthropic)


if __name__ == "__main__":
    run_tests()
