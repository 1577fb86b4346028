"""Measures Portolan and nginx in front of the same mock upstream and writes build/bench/{results.json,results.md}. Called by run.sh."""

import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

PROXY_CORE, LOAD_CORE = "0", "1"


def pinned(core, command, **more):
    if os.cpu_count() < 2:
        return subprocess.Popen(command, **more)
    return subprocess.Popen(["taskset", "-c", core, *command], **more)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            s.settimeout(0.2)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"bench: nothing listens on {port}")


def family(pid):
    """A process and its children."""
    out = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            out += family(int(child))
    return out


def cpu_us(pid):
    """CPU time that a process, its threads and its children used, from the scheduler (nanoseconds, not ticks)."""
    total = 0
    for p in family(pid):
        for task in pathlib.Path(f"/proc/{p}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def rss_mib(pid):
    total = 0
    for p in family(pid):
        total += int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{p}/status").read_text()).group(1))
    return total / 1024


TRANSLATED_CHUNKS = 60


def loop_lag_ms(port):
    """Longest time that an event loop was late since this was last asked."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
        found = re.search(r"^portolan_loop_lag_seconds (\S+)", reply.read().decode(), re.M)
    return float(found.group(1)) * 1000


def conversation():
    """One request of 4 KB with three tools, as OpenAI's chat and as Anthropic's messages."""
    text = "The quick brown fox jumps over the lazy dog while the river flows past the old mill. "
    schema = {"type": "object", "required": ["place", "unit"], "properties": {
        "place": {"type": "string", "description": "A town and its country, as in Lisbon, Portugal"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14}}}
    names = ("get_weather", "get_forecast", "get_history")
    system, question, answer, result = "You are helpful. " + text * 6, text * 8, text * 6, '{"temperature": 21, "sky": "' + text * 3 + '"}'
    arguments = {"place": "Lisbon, Portugal", "unit": "celsius"}
    chat = {"model": "m", "stream": True, "max_tokens": 500, "temperature": 0.5, "tool_choice": "auto", "messages": [
        {"role": "system", "content": system}, {"role": "user", "content": question},
        {"role": "assistant", "content": answer, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": names[0], "arguments": json.dumps(arguments)}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": result}, {"role": "user", "content": text}],
        "tools": [{"type": "function", "function": {"name": n, "description": text, "parameters": schema}} for n in names]}
    messages = {"model": "m", "stream": True, "max_tokens": 500, "temperature": 0.5, "tool_choice": {"type": "auto"}, "system": system, "messages": [
        {"role": "user", "content": question},
        {"role": "assistant", "content": [{"type": "text", "text": answer}, {"type": "tool_use", "id": "call_1", "name": names[0], "input": arguments}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": result}, {"type": "text", "text": text}]}],
        "tools": [{"name": n, "description": text, "input_schema": schema} for n in names]}
    return chat, messages


def openai_stream(chunks):
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def event(delta, finish=None, **more):
        return "data: " + json.dumps({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}, separators=(",", ":")) + "\n\n"

    usage = {**head, "choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": chunks, "total_tokens": 1000 + chunks}}
    return "".join([event({"role": "assistant", "content": ""}), *(event({"content": f"word {n} of it "}) for n in range(chunks)), event({}, "stop"),
                    "data: " + json.dumps(usage, separators=(",", ":")) + "\n\n", "data: [DONE]\n\n"])


def anthropic_stream(chunks):
    def event(kind, **more):
        return f"event: {kind}\ndata: " + json.dumps({"type": kind, **more}, separators=(",", ":")) + "\n\n"

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "stop_sequence": None,
               "usage": {"input_tokens": 1000, "output_tokens": 1}}
    return "".join([event("message_start", message=message), event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
                    *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": f"word {n} of it "}) for n in range(chunks)),
                    event("content_block_stop", index=0), event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": chunks}),
                    event("message_stop")])


class Bench:
    def __init__(self, args):
        self.args = args
        self.root = pathlib.Path(args.root)
        self.bin = self.root / "build" / args.preset / "bin"
        self.out = self.root / "build" / "bench"
        self.out.mkdir(parents=True, exist_ok=True)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="portolan-bench-"))
        self.folder.chmod(0o755)
        self.running = []
        self.results = {}

    def start(self, core, command, **more):
        log = open(self.folder / f"{pathlib.Path(command[0]).name}-{len(self.running)}.log", "wb")
        process = pinned(core, [str(c) for c in command], stdout=log, stderr=log, stdin=subprocess.DEVNULL, **more)
        self.running.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.remove(process)

    def mock(self, chunks, interval_us, content_bytes=12):
        port = free_port()
        process = self.start(LOAD_CORE, [self.bin / "mock_upstream", port, chunks, interval_us, content_bytes])
        wait_port(port)
        return port, process

    def portolan(self, upstream):
        """upstream: the port of an OpenAI-compatible one, or a list of providers."""
        port = free_port()
        providers = upstream if isinstance(upstream, list) else [{"name": "up", "type": "openai-compatible", "base_url": f"http://127.0.0.1:{upstream}/v1",
                                                                  "api_key": "k", "models": "any"}]
        config = {"auth": {"mode": "off"}, "logging": {"level": "warn"},
                  "server": {"listen": f"127.0.0.1:{port}", "loops": 1, "data_dir": str(self.folder / f"data-{port}"),
                             "limits": {"connections_per_ip": 0, "requests_per_connection": 100000000, "idle_ms": 600000}},
                  "providers": providers}
        path = self.folder / f"portolan-{port}.yaml"
        path.write_text(json.dumps(config))
        environment = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_API_KEY", "_PROXY")) and k not in ("HOST", "PORT")}
        process = self.start(PROXY_CORE, [self.bin / "portolan", "serve", "--config", path], env=environment, cwd=self.folder)
        wait_port(port)
        return port, process

    def nginx(self, upstream):
        port = free_port()
        text = (self.root / "tests/bench/nginx.conf.in").read_text()
        folder = self.folder / f"nginx-{port}"
        folder.mkdir()
        folder.chmod(0o777)
        for name, value in (("FOLDER", folder), ("UPSTREAM", upstream), ("PORT", port)):
            text = text.replace(f"@{name}@", str(value))
        (folder / "nginx.conf").write_text(text)
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        process = self.start(PROXY_CORE, [binary, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
        wait_port(port)
        return port, process

    def load(self, *command):
        done = subprocess.run(["taskset", "-c", LOAD_CORE, str(self.bin / "sse_load"), *map(str, command)], capture_output=True, text=True,
                              timeout=self.args.seconds + 60)
        if done.returncode or done.stderr:
            print(done.stderr, file=sys.stderr)
        return json.loads(done.stdout)

    def wrk(self, port, model):
        script = self.folder / "post.lua"
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "x" * 900}]})
        script.write_text('wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = [==[' + body + "]==]\n")
        done = subprocess.run(["taskset", "-c", LOAD_CORE, "wrk", "-t1", "-c64", f"-d{self.args.seconds}s", "--latency", "-s", str(script),
                               f"http://127.0.0.1:{port}/v1/chat/completions"], capture_output=True, text=True, timeout=self.args.seconds + 60)
        count = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
        p99 = re.search(r"99%\s+(\S+)", done.stdout)
        return {"done": count, "errors": int(bad.group(1)) if bad else 0, "p99": p99.group(1) if p99 else ""}

    def both(self, upstream):
        """(name, port, process, model) of the two proxies, warmed up."""
        port, process = self.portolan(upstream)
        proxies = [("portolan", port, process, "up/m")]
        port, process = self.nginx(upstream)
        return proxies + [("nginx", port, process, "m")]

    def compare(self, name, unit_of, run, upstream_settings):
        """CPU per unit of work of both proxies, in turns, median of the rounds."""
        upstream, mock = self.mock(*upstream_settings)
        proxies = self.both(upstream)
        seen = {p[0]: [] for p in proxies}
        for round_number in range(self.args.rounds + 1):
            for title, port, process, model in proxies:
                ours = title == "portolan"
                if ours:
                    loop_lag_ms(port)
                before = cpu_us(process.pid)
                result = run(port, model)
                spent = cpu_us(process.pid) - before
                if ours:
                    result["loop_lag_ms"] = loop_lag_ms(port)
                units = unit_of(result)
                if round_number:  # the first round warms up
                    seen[title].append({"us": spent / max(units, 1), "per_s": units / self.args.seconds, **result})
        row = {}
        for title, runs in seen.items():
            row[title] = {"cpu_us": statistics.median(r["us"] for r in runs), "per_s": statistics.median(r["per_s"] for r in runs),
                          "errors": sum(r["errors"] for r in runs), "runs": runs}
        row["ratio"] = row["portolan"]["cpu_us"] / row["nginx"]["cpu_us"]
        row["loop_lag_ms"] = [r["loop_lag_ms"] for r in row["portolan"]["runs"]]
        self.results[name] = row
        print(f"{name}: portolan {row['portolan']['cpu_us']:.2f} us, nginx {row['nginx']['cpu_us']:.2f} us, ratio {row['ratio']:.2f}, "
              f"errors {row['portolan']['errors']}/{row['nginx']['errors']}, loop lag {max(row['loop_lag_ms']):.1f} ms", flush=True)
        for _, _, process, _ in proxies:
            self.stop(process)
        self.stop(mock)

    def first_token(self):
        """First-token time at low load, direct and through each proxy, in turns."""
        upstream, mock = self.mock(3, 1000)
        proxies = [("direct", upstream, None, "m"), *self.both(upstream)]
        seen = {p[0]: [] for p in proxies}
        for round_number in range(self.args.rounds + 1):
            for title, port, _, model in proxies:
                result = self.load("stream", port, 4, max(2, self.args.seconds // 2), model)
                if round_number:
                    seen[title].append(result)
        row = {t: {k: statistics.median(r[k] for r in runs) for k in ("p50_us", "p99_us")} for t, runs in seen.items()}
        for title in ("portolan", "nginx"):
            row[title]["added_p50_us"] = row[title]["p50_us"] - row["direct"]["p50_us"]
        self.results["first token"] = row
        print(f"first token p50: direct {row['direct']['p50_us']} us, portolan +{row['portolan']['added_p50_us']}, nginx +{row['nginx']['added_p50_us']}", flush=True)
        for _, _, process, _ in proxies[1:]:
            self.stop(process)
        self.stop(mock)

    def memory(self):
        """Resident memory: idle, with 5,000 idle clients, with 1,000 live streams."""
        upstream, mock = self.mock(100000, 200000)
        row = {}
        for make in (self.portolan, self.nginx):
            port, process = make(upstream)
            time.sleep(2)
            found = {"idle_mib": rss_mib(process.pid)}
            for title, command in (("idle_5000", ("idle", port, 5000, 8)), ("live_1000", ("stream", port, 1000, 8, "up/m"))):
                holder = pinned(LOAD_CORE, [str(self.bin / "sse_load"), *map(str, command)], stdout=subprocess.PIPE, text=True)
                time.sleep(6)
                found[title + "_mib"] = rss_mib(process.pid)
                result = json.loads(holder.communicate(timeout=60)[0])
                found[title] = result
                if title == "idle_5000" and result["done"] != 5000:
                    print(f"bench: only {result['done']} of 5000 idle clients were served", file=sys.stderr)
                time.sleep(1)
            row[make.__name__] = found
            self.stop(process)
        self.results["memory"] = row
        for title, found in row.items():
            print(f"memory {title}: idle {found['idle_mib']:.1f} MiB, 5,000 idle clients {found['idle_5000_mib']:.1f} MiB "
                  f"({found['idle_5000']['done']} served), 1,000 streams {found['live_1000_mib']:.1f} MiB ({found['live_1000']['chunks']} chunks)", flush=True)
        self.stop(mock)

    def translation(self):
        """CPU of a 4 KB request with tools and of a chunk of its stream, translated and passed on, for each client dialect."""
        chat, messages = conversation()
        asks = {"chat": ("/v1/chat/completions", self.file("chat.json", json.dumps(chat))), "messages": ("/v1/messages", self.file("messages.json", json.dumps(messages)))}
        ports = {}
        for dialect, stream in (("openai", openai_stream), ("anthropic", anthropic_stream)):
            for chunks in (1, TRANSLATED_CHUNKS):
                port = free_port()
                self.start(LOAD_CORE, [self.bin / "mock_upstream", port, self.file(f"{dialect}-{chunks}.sse", stream(chunks)), 2000])
                wait_port(port)
                ports[dialect, chunks] = port
        hosts = {}
        for chunks in (1, TRANSLATED_CHUNKS):
            providers = [{"name": "up", "type": "openai-compatible", "base_url": f"http://127.0.0.1:{ports['openai', chunks]}/v1", "api_key": "k", "models": "any"},
                         {"name": "ant", "type": "anthropic", "base_url": f"http://127.0.0.1:{ports['anthropic', chunks]}", "api_key": "k", "models": "any"}]
            hosts[chunks] = self.portolan(providers)
        rows = {"chat passed on": ("chat", "up"), "chat to Anthropic": ("chat", "ant"), "messages passed on": ("messages", "ant"), "messages to OpenAI": ("messages", "up")}
        seen = {name: {chunks: [] for chunks in hosts} for name in rows}
        for round_number in range(self.args.rounds + 1):
            for name, (client, provider) in rows.items():
                path, file = asks[client]
                for chunks, (port, process) in hosts.items():
                    before = cpu_us(process.pid)
                    result = self.load("ask", port, 32, self.args.seconds, path.replace("/v1/", f"/v1/providers/{provider}/"), file)
                    if result["errors"] or not result["done"]:
                        print(f"bench: {name}: {result}", file=sys.stderr)
                    if round_number:
                        seen[name][chunks].append((cpu_us(process.pid) - before) / max(result["done"], 1))
        row = {}
        for name, runs in seen.items():
            one, many = (statistics.median(runs[c]) for c in (1, TRANSLATED_CHUNKS))
            row[name] = {"request_us": one, "chunk_us": (many - one) / (TRANSLATED_CHUNKS - 1), "runs": {str(c): r for c, r in runs.items()}}
        for name, base in (("chat to Anthropic", "chat passed on"), ("messages to OpenAI", "messages passed on")):
            for unit in ("request", "chunk"):
                row[name][f"{unit}_ratio"] = row[name][f"{unit}_us"] / row[base][f"{unit}_us"]
            print(f"translation, {name}: request {row[name]['request_us']:.1f} us ({row[name]['request_ratio']:.2f} x), "
                  f"chunk {row[name]['chunk_us']:.2f} us ({row[name]['chunk_ratio']:.2f} x)", flush=True)
        self.results["translation"] = row
        for process in list(self.running):
            self.stop(process)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def decide(self):
        """A decision over 20 candidates through the wall, for each shipped policy; decide_bench prints the table."""
        done = subprocess.run(["taskset", "-c", PROXY_CORE, str(self.bin / "decide_bench"), str(self.bin.parent / "plugins")], capture_output=True, text=True,
                              check=True, timeout=120)
        self.results["decide"] = done.stdout.strip()

    def wall(self):
        """Calls through the wall and into isolated plugins, loading; wall_bench prints the table."""
        done = subprocess.run([str(self.bin / "wall_bench"), str(self.bin.parent / "plugins")], capture_output=True, text=True, check=True, timeout=300)
        self.results["wall"] = done.stdout.strip()

    def table(self):
        targets = {"1 KB request, 64 connections": 1.3, "400 KB body": 2.0, "SSE chunk": 1.2}
        lines = ["| figure | Portolan | nginx | ratio | aim |", "|---|---|---|---|---|"]
        for name, aim in targets.items():
            if row := self.results.get(name):
                lines.append(f"| {name}: CPU | {row['portolan']['cpu_us']:.1f} µs | {row['nginx']['cpu_us']:.1f} µs | {row['ratio']:.2f} | <= {aim} |")
        if lags := [lag for name in targets if name in self.results for lag in self.results[name]["loop_lag_ms"]]:
            lines.append(f"| loop lag, least to most of the rounds | {min(lags):.1f} to {max(lags):.1f} ms | | | flat |")
        if row := self.results.get("first token"):
            lines.append(f"| added first-token p50 (direct {row['direct']['p50_us']:.0f} µs) | {row['portolan']['added_p50_us']:.0f} µs | "
                         f"{row['nginx']['added_p50_us']:.0f} µs | | <= 100 µs |")
        if row := self.results.get("memory"):
            for key, title, aim in (("idle_mib", "resident, idle", 20), ("idle_5000_mib", "resident, 5,000 idle clients", 64), ("live_1000_mib", "resident, 1,000 live streams", 64)):
                a, b = row["portolan"][key], row["nginx"][key]
                lines.append(f"| {title} | {a:.1f} MiB | {b:.1f} MiB | {a / b:.2f} | <= {aim} MiB |")
        if row := self.results.get("translation"):
            lines += ["", "| translated | request | passed on | ratio | chunk | passed on | ratio | aim |", "|---|---|---|---|---|---|---|---|"]
            for name, base in (("chat to Anthropic", "chat passed on"), ("messages to OpenAI", "messages passed on")):
                a, b = row[name], row[base]
                lines.append(f"| {name} | {a['request_us']:.1f} µs | {b['request_us']:.1f} µs | {a['request_ratio']:.2f} | {a['chunk_us']:.2f} µs | {b['chunk_us']:.2f} µs | "
                             f"{a['chunk_ratio']:.2f} | <= 2.5 |")
        text = "\n".join(lines) + "\n"
        for table in ("decide", "wall"):
            if table in self.results:
                text += "\n" + self.results[table] + "\n"
        return text

    def run(self):
        chosen = self.args.only
        scenarios = {
            "small": lambda: self.compare("1 KB request, 64 connections", lambda r: r["done"], lambda p, m: self.wrk(p, m), (0, 0)),
            "large": lambda: self.compare("400 KB body", lambda r: r["done"],
                                          lambda p, m: self.load("post", p, 16, self.args.seconds, m, 400000), (0, 0)),
            # 100 streams with a chunk every 10 ms: 10,000 chunks a second, each arriving alone.
            "chunk": lambda: self.compare("SSE chunk", lambda r: r["chunks"], lambda p, m: self.load("stream", p, 100, self.args.seconds, m), (400, 10000)),
            "first": self.first_token,
            "translation": self.translation,
            "memory": self.memory,
            "decide": self.decide, "wall": self.wall,
        }
        try:
            for name, scenario in scenarios.items():
                if not chosen or name in chosen:
                    scenario()
        finally:
            for process in list(self.running):
                self.stop(process)
            shutil.rmtree(self.folder, ignore_errors=True)
        (self.out / "results.json").write_text(json.dumps(self.results, indent=1))
        (self.out / "results.md").write_text(self.table())
        print("\n" + self.table())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--preset", default="release", help="folder under build/")
    parser.add_argument("--seconds", type=int, default=8, help="per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("only", nargs="*", help="small large chunk first translation memory decide wall; none: all")
    Bench(parser.parse_args()).run()


if __name__ == "__main__":
    main()
