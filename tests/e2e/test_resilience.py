"""Breakers, rests and accounts of the real process, seen through its interface."""

import http.client
import json
import threading
import time
import unittest

from harness import SLOWNESS, Portolan, Upstream, answer, ask_for, delta, events_of, provider, run_tests, settings, text_of, wait_until


def in_parallel(n, work):
    """What n threads make of it, in no order."""
    out = []
    threads = [threading.Thread(target=lambda: out.append(work())) for _ in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return out


class Breakers(unittest.TestCase):
    def test_a_breaker_opens_is_shown_and_is_reset(self):
        sick = {"now": True}

        def behave(call):
            if call.json["model"] == "x" and sick["now"]:
                return call.reply(503, {"error": {"message": "overloaded"}})
            call.reply(200, answer(call.json["model"]))

        with Upstream(behave) as upstream:
            up, spare = provider(upstream.base, models=["x"]), provider(upstream.base, name="spare", models=["y"])
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            with Portolan(settings(up, spare, routes=routes)) as host:
                for _ in range(5):
                    self.assertEqual(host.chat(ask_for("both")).json["choices"][0]["message"]["content"], "y")
                calls = upstream.calls
                self.assertEqual(calls, 10)
                host.chat(ask_for("both"))
                self.assertEqual(upstream.calls, calls + 1, "the sick one is left alone")
                row = next(r for r in host.get("/api/breakers").json["breakers"] if r["target"] == "up/x")
                self.assertEqual((row["state"], row["failures"], row["times_opened"]), ("open", 5, 1))
                self.assertGreater(row["probe_in_ms"], 0)
                self.assertIn("portolan_breakers_open 1\n", host.get("/metrics").body.decode())
                explained = host.ask("POST", "/api/route/explain", ask_for("both")).json["candidates"]
                self.assertEqual([c["id"] for c in explained], ["spare/y", "up/x"])
                sick["now"] = False
                self.assertEqual(host.ask("POST", "/api/resilience/reset", {"target": "up/*"}).json, {"reset": 1})
                self.assertEqual(host.chat(ask_for("both")).json["choices"][0]["message"]["content"], "x")
                providers = host.get("/api/resilience").json["providers"]
                self.assertEqual([p["provider"] for p in providers], ["up", "spare"])
                self.assertEqual(providers[0]["in_flight"], 0)

    def test_a_probe_brings_a_healed_target_back(self):
        sick = {"now": True}

        def behave(call):
            if call.json["model"] == "x" and sick["now"]:
                return call.reply(503, {"error": {"message": "overloaded"}})
            call.reply(200, answer(call.json["model"]))

        with Upstream(behave) as upstream:
            up = provider(upstream.base, models=["x"], circuit_breaker={"recovery_time_seconds": 1, "failure_threshold": 2})
            spare = provider(upstream.base, name="spare", models=["y"])
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            with Portolan(settings(up, spare, routes=routes)) as host:
                for _ in range(3):
                    host.chat(ask_for("both"))
                sick["now"] = False
                healed = time.monotonic()
                while host.get("/api/breakers").json["breakers"][0]["state"] != "closed":
                    self.assertLess(time.monotonic() - healed, 10)
                    host.chat(ask_for("both"))
                self.assertEqual(host.chat(ask_for("both")).json["choices"][0]["message"]["content"], "x")


class Accounts(unittest.TestCase):
    def test_accounts_take_turns_and_a_refused_key_rests(self):
        seen = []

        def behave(call):
            key = call.headers["authorization"].removeprefix("Bearer ")
            seen.append(key)
            if key == "sk-two":
                return call.reply(401, {"error": {"message": "no such key"}})
            call.reply(200, answer())

        with Upstream(behave) as upstream:
            accounts = {"policy": "round-robin", "list": [{"name": n, "api_key": f"sk-{n}"} for n in ("one", "two", "three")]}
            up = provider(upstream.base, models=["m"], accounts=accounts)
            del up["api_key"]
            with Portolan(settings(up)) as host:
                for _ in range(6):
                    self.assertEqual(host.chat(ask_for("up/m")).status, 200)
                self.assertEqual(seen.count("sk-two"), 1)
                self.assertGreaterEqual(seen.count("sk-one"), 2)
                self.assertGreaterEqual(seen.count("sk-three"), 2)
                accounts = {a["account"]: a for a in host.get("/api/resilience").json["providers"][0]["accounts"]}
                self.assertEqual(accounts["two"]["rests"]["why"], "upstream_auth")
                self.assertIsNone(accounts["one"]["rests"])
                host.wait_for_line('"event":"account_rests".*"account":"two"')

    def test_the_upstreams_rate_limit_headers_become_headroom(self):
        def behave(call):
            call.reply(200, answer(), headers={"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "4", "x-ratelimit-reset-requests": "30s"})

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models=["m"]))) as host:
            host.chat(ask_for("up/m"))
            # the answer may be read before it is noted
            wait_until(lambda: host.get("/api/breakers").json["breakers"][0]["headroom"] == 0.04, what="a headroom of 0.04")


class Limits(unittest.TestCase):
    def test_requests_wait_their_turn_and_no_more_than_allowed_run_at_a_time(self):
        running, most, lock = [0], [0], threading.Lock()

        def behave(call):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.1)
            with lock:
                running[0] -= 1
            call.reply(200, answer())

        with Upstream(behave) as upstream:
            with Portolan(settings(provider(upstream.base, models=["m"], limits={"concurrent": 2}))) as host:
                replies = in_parallel(8, lambda: host.chat(ask_for("up/m")).status)
                self.assertEqual(replies, [200] * 8)
                self.assertEqual(most[0], 2)

    def test_who_waited_long_enough_gets_429_and_another_target_is_preferred_to_waiting(self):
        go_on = threading.Event()

        def behave(call):
            if call.json["model"] == "x":
                go_on.wait(10)
            call.reply(200, answer(call.json["model"]))

        with Upstream(behave) as upstream:
            up = provider(upstream.base, models=["x"], limits={"concurrent": 1, "queue_ms": 200})
            spare = provider(upstream.base, name="spare", models=["y"])
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            with Portolan(settings(up, spare, routes=routes)) as host:
                holder = threading.Thread(target=lambda: host.chat(ask_for("up/x")))
                holder.start()
                wait_until(lambda: upstream.calls == 1, 5, "the first call")
                reply = host.chat(ask_for("up/x"))
                self.assertEqual(reply.status, 429)
                self.assertIn("retry-after", reply.headers)
                self.assertEqual(host.chat(ask_for("both")).json["choices"][0]["message"]["content"], "y")
                go_on.set()
                holder.join()
                self.assertEqual(host.chat(ask_for("up/x")).status, 200)

    def test_requests_a_minute_of_one_account_go_on_at_the_other(self):
        seen = []

        def behave(call):
            seen.append(call.headers["authorization"])
            call.reply(200, answer())

        with Upstream(behave) as upstream:
            up = provider(upstream.base, models=["m"], accounts=[{"name": "one", "api_key": "sk-one", "rpm": 2}, {"name": "two", "api_key": "sk-two"}])
            del up["api_key"]
            with Portolan(settings(up)) as host:
                for _ in range(5):
                    self.assertEqual(host.chat(ask_for("up/m")).status, 200)
        self.assertEqual(seen, ["Bearer sk-one"] * 2 + ["Bearer sk-two"] * 3)


    def test_a_daily_limit_passes_over_the_provider_until_its_hours_are_over(self):
        def behave(call):
            call.reply(200, {**answer(call.json["model"]), "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}})

        priced = [{"id": "x", "price": {"input": 1, "output": 1}}]
        with Upstream(behave) as upstream:
            up = provider(upstream.base, models=["x"], limits={"daily_requests": 2})
            rich = provider(upstream.base, name="rich", models=priced, limits={"daily_usd": 0.003})
            spare = provider(upstream.base, name="spare", models=["y"])
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            with Portolan(settings(up, rich, spare, routes=routes)) as host:
                said = [host.chat(ask_for("both")).json["choices"][0]["message"]["content"] for _ in range(3)]
                self.assertEqual(said, ["x", "x", "y"])
                reply = host.chat(ask_for("up/x"))
                self.assertEqual((reply.status, reply.json["error"]["code"]), (429, "insufficient_quota"))
                self.assertGreater(int(reply.headers["retry-after"]), 22 * 3600)
                for n, status in enumerate((200, 200, 429)):  # 0.002 USD each
                    self.assertEqual(host.chat(ask_for("rich/x")).status, status)
                    wait_until(lambda: len(host.get("/api/logs").json["data"]) == 5 + n, what="the bill")


class Hedging(unittest.TestCase):
    def test_a_silent_stream_gets_company_and_the_loser_is_ended_at_once(self):
        gone, won = [], []

        def behave(call):
            if call.json["model"] == "x":
                call.start()
                call.event({**delta(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]})
                return gone.append(call.wait_gone(5))
            call.start()
            won.append(time.monotonic())
            for piece in (delta("from the second"), delta(finish="stop"), b"[DONE]"):
                call.event(piece)
            call.end()

        with Upstream(behave) as upstream:
            up, spare = provider(upstream.base, models=["x"]), provider(upstream.base, name="spare", models=["y"])
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            hedging = {"hedging": {"enabled": True, "after_ms": 200}}
            with Portolan(settings(up, spare, routes=routes, routing=hedging)) as host:
                stream = host.stream(ask_for("both", stream=True))
                body = stream.read_all()
                self.assertEqual(text_of(body), "from the second")
                self.assertEqual(events_of(body)[-1], "[DONE]")
                self.assertEqual(stream.headers["x-portolan-provider"], "spare")
                wait_until(lambda: gone and gone[0], 5, "the end of the first call")
                self.assertLess(gone[0] - won[0], 0.05 * max(SLOWNESS, 2))
                row = wait_until(lambda: host.get("/api/logs").json["data"], what="the line in the log")[0]
                self.assertEqual([(a["target"], a.get("fault"), a.get("hedge")) for a in row["attempts"]],
                                 [("up/x", "cancelled", None), ("spare/y", None, True)])
                host.wait_for_metric(r'portolan_hedges_total\{result="won"\} 1\n')


class Speed(unittest.TestCase):
    def test_going_over_to_the_next_target_costs_next_to_nothing(self):
        def behave(call):
            if call.json["model"] == "x":
                return call.reply(500, {"error": {"message": "no"}})
            call.reply(200, answer())

        with Upstream(behave) as upstream:
            sick = provider(upstream.base, models=["x"], circuit_breaker={"failure_threshold": 1000000, "failure_rate": 1, "min_requests": 1000000})
            routes = [{"name": "both", "policy": "priority", "targets": ["up/x", "spare/y"]}]
            with Portolan(settings(sick, provider(upstream.base, name="spare", models=["y"]), routes=routes)) as host:
                for _ in range(60):
                    self.assertEqual(host.chat(ask_for("both")).status, 200)
                rows = [r for r in host.get("/api/logs?limit=50").json["data"] if len(r["attempts"]) == 2]
                self.assertEqual(len(rows), 50)
                added = sorted(r["total_us"] - sum(a["took_us"] for a in r["attempts"]) for r in rows)
                print(f"added by going over: p50 {added[25]} us, p95 {added[47]} us", flush=True)
                self.assertLess(added[25], 5000 * SLOWNESS)


class Storms(unittest.TestCase):
    """An upstream that only says 503, and many who want it."""

    def test_an_upstream_that_is_down_sees_little_and_is_back_soon(self):
        sick = {"now": True}

        def behave(call):
            call.reply(503, {"error": {"message": "overloaded"}}) if sick["now"] else call.reply(200, answer())

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models=["m"]))) as host:
            asked, good, stop = [0], [0], threading.Event()
            lock = threading.Lock()

            def client():
                connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=20)
                body = json.dumps(ask_for("up/m")).encode()
                while not stop.is_set():
                    connection.request("POST", "/v1/chat/completions", body=body, headers={"content-type": "application/json", "x-request-timeout-ms": "5000"})
                    reply = connection.getresponse()
                    reply.read()
                    with lock:
                        asked[0] += 1
                        good[0] += reply.status == 200
                connection.close()

            clients = [threading.Thread(target=client) for _ in range(8)]
            for c in clients:
                c.start()
            time.sleep(5)
            storm_asked, storm_calls = asked[0], upstream.calls
            self.assertEqual(host.get("/api/breakers").json["breakers"][0]["state"] in ("open", "half_open"), True)
            sick["now"] = False
            healed = time.monotonic()

            def all_good():
                before = asked[0], good[0]
                time.sleep(0.5)
                return asked[0] - before[0] > 0 and asked[0] - before[0] <= good[0] - before[1] + 8

            wait_until(all_good, 10, "full traffic")
            took = time.monotonic() - healed
            stop.set()
            for c in clients:
                c.join()
            print(f"storm: {storm_asked} requests, {storm_calls} upstream calls; full traffic {took:.1f} s after healing", flush=True)
            self.assertLess(storm_calls, 1.2 * storm_asked)


if __name__ == "__main__":
    run_tests()
