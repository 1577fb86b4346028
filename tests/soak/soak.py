#!/usr/bin/env python3
"""Load proofs of the dispatch rules against the real binary. README.md says what each shows; every one prints its figures and fails when a bound is broken."""

import asyncio
import json
import os
import pathlib
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from faultd import Faultd  # noqa: E402
from harness import Portolan, provider, settings  # noqa: E402
from load import STREAM_END, STREAM_HEAD, WHOLE, Client, Pool, Upstream, at_rate, chunk, more_descriptors, percentile, reply, request  # noqa: E402

BROKEN = []
QUIET = {"logging": {"level": "error"}}


def figure(name, value, bound=None, holds=True):
    text = f"  {name}: {value}" + (f" (bound: {bound})" if bound is not None else "")
    print(text + ("" if holds else "  <-- BROKEN"), flush=True)
    if not holds:
        BROKEN.append(name)


def at_most(name, value, bound, unit=""):
    figure(name, f"{value:.4g}{unit}", f"<= {bound}{unit}", value <= bound)


async def off(work, *args):
    return await asyncio.to_thread(work, *args)


async def breaker(host, target):
    rows = (await off(host.get, "/api/breakers")).json["breakers"]
    return next(r for r in rows if r["target"] == target)


# --- (a) an upstream that is down

async def storm():
    """500 requests a second at an upstream that only says 503, for 30 s, then it heals."""
    sick, served = [True], []

    async def answer(body, writer):
        if body["model"] == "x" and sick[0]:
            await asyncio.sleep(0.02)  # so that probes can be seen to overlap, if they do
            writer.write(reply(503, b'{"error":{"message":"overloaded"}}'))
        else:
            served.append(time.monotonic())
            writer.write(reply(200, WHOLE))

    async with Upstream(answer) as upstream, Upstream(answer) as spare:
        config = settings(provider(upstream.base, models=["x"]), provider(spare.base, name="spare", models=["y"]),
                          provider(upstream.base, name="pinned", models=["x"]),
                          routes=[{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}], **QUIET)
        with Portolan(config) as host:
            pool = Pool(host.port)
            for name, model, target in (("one target", "pinned/x", "pinned/x"), ("with a second target", "both", "up/x")):
                sick[0], upstream.calls = True, []
                opened = []

                async def watch():
                    while not opened:
                        if (await breaker(host, target))["state"] != "closed":
                            opened.append(time.monotonic())
                        await asyncio.sleep(0.02)

                watching = asyncio.create_task(watch())
                seconds = 30 if name == "one target" else 10
                got = await at_rate(500, seconds, lambda: pool.ask(request(model)))
                await asyncio.wait_for(watching, 5)
                calls = list(upstream.calls)
                figure(f"storm, {name}", f"{len(got)} requests, {len(calls)} upstream calls, {sum(s == 200 for s, _ in got)} answered")
                at_most("upstream calls for each request", len(calls) / len(got), 1.2)
                at_most("breaker open after the tenth sample", opened[0] - calls[9][0], 1, " s")
                if name != "one target":
                    bad = [s for s, _ in got if s != 200]
                    at_most("requests that were not answered by the second", len(bad), 0)
                    probes = [running for at, running in calls if at > opened[0] + 0.5]
                    at_most(f"probes at a time ({len(probes)} probes)", max(probes, default=0), 1)
                sick[0] = False
                healed = time.monotonic()
                full = None
                while full is None and time.monotonic() - healed < 15:
                    before = len(upstream.calls)
                    got = await at_rate(500, 0.5, lambda: pool.ask(request(model)))
                    if all(s == 200 for s, _ in got) and len(upstream.calls) - before >= len(got):
                        full = time.monotonic() - healed
                at_most("full traffic after healing", full or 99, 10, " s")
            pool.close()


async def failover():
    """What going over to the second target adds to the failed attempt itself."""
    async def answer(body, writer):
        writer.write(reply(500, b'{"error":{"message":"no"}}') if body["model"] == "x" else reply(200, WHOLE))

    never = {"failure_threshold": 1000000, "failure_rate": 1, "min_requests": 1000000}
    async with Upstream(answer) as upstream:
        config = settings(provider(upstream.base, models=["x"], circuit_breaker=never), provider(upstream.base, name="spare", models=["y"]),
                          routes=[{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}], **QUIET)
        with Portolan(config) as host:
            client = Client(host.port)
            for _ in range(1000):
                await client.ask(request("both"))
            rows = (await off(host.get, "/api/logs?limit=1000")).json["data"]
            added = [(r["total_us"] - sum(a["took_us"] for a in r["attempts"])) / 1000 for r in rows if len(r["attempts"]) == 2]
            figure("requests that went over", len(added), ">= 900", len(added) >= 900)
            at_most("added, median", percentile(added, 0.5), 5, " ms")
            at_most("added, p99", percentile(added, 0.99), 5, " ms")
            client.close()


# --- (b) clients that read nothing

async def stalled(clients=200):
    """Clients that ask for an endless stream and read nothing, beside one that is well."""
    async def answer(_, writer):
        writer.write(reply(200, WHOLE))

    async def p99(host, seconds=8):
        took, client, end = [], Client(host.port), time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            status, _ = await client.ask(request("good/m"))
            took.append(time.monotonic() - began)
            figure("healthy client", f"status {status}", 200, False) if status != 200 else None
            await asyncio.sleep(0.004)
        client.close()
        return percentile(took, 0.99) * 1000, percentile(took, 0.5) * 1000

    async with Upstream(answer) as good:
        with Faultd() as flood:
            up = provider(flood.base(), models=["m"], extra_headers={"x-fault": "flood@after_content"})
            with Portolan(settings(up, provider(good.base, name="good", models=["m"]), server={"limits": {"connections_per_ip": 0}}, **QUIET)) as host:
                await p99(host, 2)
                alone = [await p99(host) for _ in range(2)]
                before, sockets = host.resident_kib(), []
                for _ in range(clients):
                    s = socket.socket()
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    s.connect(("127.0.0.1", host.port))
                    s.sendall(request("up/m", stream=True))
                    sockets.append(s)
                await asyncio.sleep(5)
                beside = [await p99(host) for _ in range(2)]
                at_most(f"memory for each of {clients} streams", (host.resident_kib() - before) / clients, 256, " KiB")
                figure("bytes kept for clients", next(x for x in host.get("/metrics").body.decode().splitlines() if x.startswith("portolan_buffered_bytes")))
                figure("median of the healthy client", f"{min(a[1] for a in alone):.2f} ms alone, {min(b[1] for b in beside):.2f} ms beside them")
                at_most("p99 of the healthy client, against alone", min(b[0] for b in beside) / min(a[0] for a in alone), 1.2)
                figure("p99", f"{min(a[0] for a in alone):.2f} ms alone, {min(b[0] for b in beside):.2f} ms beside them")
                for s in sockets:
                    s.close()


# --- (c) slow clients

async def slow(clients=5000):
    """A third each: heads that never end, bodies that never end, streams that nobody reads; a canary beside them."""
    limits = {"header_timeout_ms": 12000, "body_grace_ms": 12000, "body_total_ms": 15000, "write_stall_ms": 12000, "connections_per_ip": 0}

    async def answer(_, writer):
        writer.write(reply(200, WHOLE))

    async with Upstream(answer) as good:
        with Faultd() as flood:
            up = provider(flood.base(), models=["m"], extra_headers={"x-fault": "flood@after_content"})
            config = settings(up, provider(good.base, name="good", models=["m"]), server={"limits": limits}, **QUIET)
            with Portolan(config) as host:
                canary, statuses, stop = Client(host.port), [], asyncio.Event()
                await canary.ask(request("good/m"))
                before = host.resident_kib()

                async def sing():
                    while not stop.is_set():
                        statuses.append((await canary.ask(request("good/m")))[0])
                        await asyncio.sleep(0.05)

                singing = asyncio.create_task(sing())
                open_ones = [await opened(host.port, n % 3) for n in range(clients)]
                await asyncio.sleep(3)
                held = [s for s in open_ones if alive(s)]
                figure("clients that are held at once", len(held), f"{clients}", len(held) == clients)
                at_most("memory for each connection", (host.resident_kib() - before) / clients, 24, " KiB")
                end = time.monotonic() + 90
                while time.monotonic() < end and any(map(alive, open_ones)):
                    for n, s in enumerate(open_ones):
                        drip(s, n % 3)
                    await asyncio.sleep(1)
                at_most("still open after their limits", sum(map(alive, open_ones)), 0)
                stop.set()
                await singing
                at_most(f"canary's errors in {len(statuses)} requests", sum(s != 200 for s in statuses), 0)
                page = host.get("/metrics").body.decode()
                figure("ended by", ", ".join(x.split("portolan_connection_timeouts_total")[1] for x in page.splitlines() if x.startswith("portolan_connection_timeouts_total{")))
                canary.close()


async def opened(port, kind):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.setblocking(False)
    await asyncio.get_running_loop().sock_connect(s, ("127.0.0.1", port))
    whole = request("up/m", stream=True)
    s.send([whole[:40], whole[:-10], whole][kind])
    return s


def drip(s, kind):
    if kind < 2 and s.fileno() >= 0:
        try:
            s.send(b"a" if kind == 0 else b" ")
        except OSError:
            s.close()


def alive(s):
    """Looks at the end of what came without taking anything out, so that a client that reads nothing reads nothing."""
    if s.fileno() < 0:
        return False
    try:
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return info[0] == 1  # TCP_ESTABLISHED
    except OSError:
        return False


# --- (d) the end of the process

async def drain(streams=500, grace_ms=15000):
    """Live streams at SIGTERM: none is cut, new requests are refused, and the process ends in time."""
    for finishing in (True, False):
        go_on = asyncio.Event()

        async def answer(_, writer):
            writer.write(STREAM_HEAD + chunk({"role": "assistant", "content": "first "}))
            await writer.drain()
            await go_on.wait()
            writer.write(chunk({"content": "last"}) + STREAM_END)

        grace = grace_ms if finishing else 3000
        async with Upstream(answer) as upstream:
            limits = {"connections_per_ip": 0}
            with Portolan(settings(provider(upstream.base, models=["m"]), server={"shutdown_grace_ms": grace, "limits": limits}, **QUIET)) as host:
                clients = [Client(host.port) for _ in range(streams)]
                asking = [asyncio.create_task(c.ask(request("up/m", stream=True))) for c in clients]
                while upstream.running < streams:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.5)
                host.signal(signal.SIGTERM)
                began = time.monotonic()
                await asyncio.sleep(0.5)
                refused = [(await Client(host.port).ask(request("up/m")))[0] for _ in range(20)]
                figure("new requests refused", sum(s in (0, 503) for s in refused), "20", all(s in (0, 503) for s in refused))
                if finishing:
                    await asyncio.sleep(1)
                    go_on.set()
                got = await asyncio.gather(*asking)
                code = await off(host.exit_code, 60)
                took = time.monotonic() - began
                whole = sum(s == 200 and b"first " in b and b"last" in b and b"[DONE]" in b for s, b in got)
                if finishing:
                    figure("streams that were not cut", whole, streams, whole == streams)
                else:
                    figure("streams that did not end and looked finished", whole, 0, whole == 0)
                at_most("exit after SIGTERM" + ("" if finishing else ", streams that never end"), took, grace / 1000 + 1, " s")
                figure("exit code", code, 0, code == 0)
                go_on.set()


# --- (e) for a while

FAULTS = ["503", "reset@before_headers", "stall@headers_only", "reset@after_content", "bad_json@after_content", "error_overloaded@after_content",
          "html_200", "429_long", "close@non_content", "eof@after_content"]


async def long(minutes=9.0, per_second=60):
    """Streams and whole answers, one in twenty at a faulty target: memory, descriptors and threads stay where they are."""
    with Faultd() as faultd:
        quick = {"connect_ms": 1000, "first_byte_ms": 1000, "first_token_ms": 1000, "idle_ms": 1000}
        never = {"failure_threshold": 1000000, "failure_rate": 1, "min_requests": 1000000}
        providers = [provider(faultd.base(), name=f"f{n}", models=["m"], timeouts=quick, circuit_breaker=never, extra_headers={"x-fault": fault})
                     for n, fault in enumerate(FAULTS)]
        good = provider(faultd.base(), name="good", models=["m"])
        routes = [{"name": f"r{n}", "policy": "priority", "targets": [f"f{n}/m", "good/m"]} for n in range(len(FAULTS))]
        with Portolan(settings(*providers, good, routes=routes, server={"limits": {"connections_per_ip": 0}}, **QUIET)) as host:
            pool, count, wrong = Pool(host.port), [0], []
            cut = {n for n, f in enumerate(FAULTS) if f.endswith("after_content")}

            async def ask():
                count[0] += 1
                n, stream = count[0], count[0] % 2 == 0
                faulty = n // 20 % len(FAULTS) if n % 20 < 1 or n % 20 == 10 and n % 40 == 10 else None
                stream = stream if faulty is None else n // 200 % 2 == 0
                status, body = await pool.ask(request("good/m" if faulty is None else f"r{faulty}", stream=stream))
                broken = stream and faulty in cut
                whole = b"faultd" in body and (b'"stop"' in body) and b'"error"' not in body
                if status != 200 or whole == broken:
                    wrong.append((faulty, stream, status, body[:200]))

            def look():
                proc = pathlib.Path(f"/proc/{host.process.pid}")
                return host.resident_kib(), len(os.listdir(proc / "fd")), len(os.listdir(proc / "task"))

            rows, began = [], time.monotonic()
            await at_rate(per_second, 3, ask)  # what is opened once is open
            await asyncio.sleep(1)
            first = look()
            while (elapsed := time.monotonic() - began) < minutes * 60:
                await at_rate(per_second, min(10, minutes * 60 - elapsed), ask)
                rows.append((time.monotonic() - began, *look()))
            pool.close()
            await asyncio.sleep(62 if minutes >= 9 else 3)  # idle upstream connections are closed by then
            last = look()
            late = [(t / 60, kib / 1024) for t, kib, *_ in rows if t > min(120, minutes * 20)]
            mean_t, mean_m = sum(t for t, _ in late) / len(late), sum(m for _, m in late) / len(late)
            slope = sum((t - mean_t) * (m - mean_m) for t, m in late) / max(1e-9, sum((t - mean_t) ** 2 for t, _ in late))
            figure("requests", f"{count[0]} in {minutes:g} minutes, one in twenty at a faulty target")
            at_most("requests that ended otherwise than they should", len(wrong), 0)
            for what in wrong[:5]:
                print("   ", what)
            figure("resident memory", f"{first[0] / 1024:.1f} MiB at first, {late[0][1]:.1f} after warming up, {late[-1][1]:.1f} at the end")
            at_most("its slope", slope, 0.5, " MiB a minute")
            figure("descriptors", f"{first[1]} at first, {last[1]} at the end", f"<= {first[1] + 8}", last[1] <= first[1] + 8)
            figure("threads", f"{first[2]} at first, {last[2]} at the end", first[2], last[2] == first[2])


PROOFS = {"failover": failover, "storm": storm, "stalled": stalled, "slow": slow, "drain": drain, "long": long}


def main():
    more_descriptors()
    chosen = sys.argv[1:] or list(PROOFS)
    for name in chosen:
        name, _, number = name.partition("=")
        proof = PROOFS[name]
        print(f"{name}: {proof.__doc__}", flush=True)
        asyncio.run(proof(float(number) if name == "long" else int(number)) if number else proof())
    print(f"{len(BROKEN)} bounds broken" + "".join(f"\n  {b}" for b in BROKEN))
    return bool(BROKEN)


if __name__ == "__main__":
    sys.exit(main())
