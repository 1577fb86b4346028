#!/usr/bin/env python3
"""Clients of every dialect in front of an upstream that speaks OpenAI: recorded requests and replies, held to the schemas of their dialects."""

import json
import sys
import unittest

from dialects import READY, RECORDINGS, Schema, events_with_names
from harness import Portolan, Upstream, provider, run_tests, settings


def recordings(pattern):
    for path in sorted(RECORDINGS.glob(pattern)):
        yield path.relative_to(RECORDINGS), json.loads(path.read_text())


class Requests(unittest.TestCase):
    @unittest.skipUnless(READY, "needs python3-jsonschema and the recordings")
    def test_recorded_requests_become_requests_that_openai_takes(self):
        schema = Schema("openai.jsonschema.relaxed.json", "#/$defs/CreateChatCompletionRequest")
        asked = []

        def behave(call):
            asked.append(call.json)
            return call.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]})

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models="any"))) as host:
            for api, path, list_name, least in (("messages", "/v1/messages", "messages", 100), ("responses", "/v1/responses", "input", 100),
                                                 ("generateContent", "/v1beta/models/up%2Fm:generateContent", "contents", 50),
                                                 ("streamGenerateContent", "/v1beta/models/up%2Fm:generateContent", "contents", 30)):
                seen, refused, misses = 0, 0, []
                for name, case in recordings(f"*/{api}--*.json"):
                    body = (case["request"] or {}).get("body")
                    if not isinstance(body, dict) or list_name not in body or "provider" in body or case["response"].get("status", 200) != 200:
                        continue
                    asked.clear()
                    reply = host.ask("POST", path, body if list_name == "contents" else {**body, "model": "up/m", "stream": False})
                    if reply.status != 200:
                        if b"unsupported_content" in reply.body:
                            refused += 1
                        else:
                            misses.append(f"{name}: {reply.status} {reply.body[:200]}")
                        continue
                    seen += 1
                    misses += [f"{name}: {m}" for m in schema.mistakes({**asked[0], "stream": False})[:2]]
                print(f"{api}: {seen} recorded requests, {refused} refused", file=sys.stderr)
                self.assertGreater(seen, least)
                self.assertEqual(misses, [], "\n".join(misses[:40]))


class Edges(unittest.TestCase):
    def test_errors_before_inference_are_in_the_language_of_the_path(self):
        with Portolan({"auth": {"mode": "required", "keys": [{"name": "k", "key": "secret-key-0123456789"}]}, "providers": [{"name": "echo", "type": "echo"}]}) as host:
            reply = host.ask("POST", "/v1/messages", {}, headers={"x-api-key": "wrong"})
            self.assertEqual((reply.status, reply.json["type"], reply.json["error"]["type"]), (401, "error", "authentication_error"))
            self.assertEqual(host.ask("POST", "/v1/messages?beta=true", {"model": "echo", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
                                      headers={"x-api-key": "secret-key-0123456789"}).status, 200)

    def test_tokens_are_counted_for_every_model(self):
        with Portolan(settings({"name": "echo", "type": "echo"})) as host:
            body = {"model": "echo", "messages": [{"role": "user", "content": "hello there " * 50}]}
            reply = host.ask("POST", "/v1/messages/count_tokens?beta=true", body)
            self.assertEqual(reply.status, 200)
            self.assertAlmostEqual(reply.json["input_tokens"], 150, delta=30)
            self.assertIn("estimate", reply.headers["x-portolan-warning"])
            reply = host.ask("POST", "/v1/responses/input_tokens", {"model": "echo", "input": "hello there " * 50})
            self.assertEqual((reply.status, reply.json["object"]), (200, "response.input_tokens"))
            self.assertEqual(host.ask("POST", "/v1/messages/count_tokens", {"model": "nobody", "messages": body["messages"]}).status, 404)

    def test_a_strict_route_refuses_what_would_be_lost(self):
        def behave(call):
            return call.reply(200, {"id": "c", "object": "chat.completion", "created": 1, "model": "m",
                                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]})

        with Upstream(behave) as upstream:
            config = settings(provider(upstream.base, models=["m"]), routes=[{"name": "exact", "policy": "priority", "targets": ["up/m"], "strict": True}])
            with Portolan(config) as host:
                body = {"max_tokens": 5, "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}
                loose = host.ask("POST", "/v1/messages", {**body, "model": "m"})
                self.assertEqual((loose.status, loose.headers.get("x-portolan-dropped-params")), (200, "top_k"))
                strict = host.ask("POST", "/v1/messages", {**body, "model": "exact"})
                self.assertEqual((strict.status, strict.json["error"]["type"]), (400, "invalid_request_error"))
                self.assertIn("top_k", strict.json["error"]["message"])
                del body["top_k"]
                self.assertEqual(host.ask("POST", "/v1/messages", {**body, "model": "exact"}).status, 200)
                host.wait_for_metric(r'portolan_translation_loss_total\{field="top_k",from="anthropic",to="up"\} 2')

    def test_a_stream_that_breaks_off_ends_with_an_error_event(self):
        def behave(call):
            call.start()
            call.event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "half"}, "finish_reason": None}]})
            call.cut()

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, models=["m"]))) as host:
            reply = host.ask("POST", "/v1/messages", {"model": "m", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
            names = [name for name, _ in events_with_names(reply.body)]
            self.assertEqual(names[-1], "error")
            self.assertNotIn("message_stop", names)


if __name__ == "__main__":
    run_tests()
