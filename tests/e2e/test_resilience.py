"""Breakers, rests and accounts of the real process, seen through its interface."""

import time
import unittest

from harness import Portolan, Upstream, answer, ask_for, provider, run_tests, settings


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
            self.assertEqual(host.get("/api/breakers").json["breakers"][0]["headroom"], 0.04)


if __name__ == "__main__":
    run_tests()
