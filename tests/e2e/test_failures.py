"""Broken upstreams, clients that leave or dawdle, and the end of the process: a stream never lies."""

import json
import signal
import socket
import threading
import time
import unittest

from harness import (SLOWNESS, Portolan, Upstream, answer, ask_for, delta, events_of, free_port, provider, run_tests, settings, text_of,
                     wait_until)


class BrokenUpstreams(unittest.TestCase):
    """One host; the model name says what the upstream does."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream(cls.behave)
        cls.dead = free_port()
        short = {"connect_ms": 500 * SLOWNESS, "first_byte_ms": 400 * SLOWNESS, "first_token_ms": 600 * SLOWNESS, "idle_ms": 400 * SLOWNESS}
        names = ["e503", "e429", "html", "empty", "cut", "fin", "silent", "stall", "fault", "nodone", "nofinish", "junk", "early", "pair"]
        providers = [provider(cls.upstream.base, name=n, timeouts=short) for n in names]
        providers.append(provider(f"http://127.0.0.1:{cls.dead}/v1", name="refused", timeouts=short, models=["refused", "x"]))
        providers.append(provider(cls.upstream.base, name="good", timeouts=short, models=["x"]))
        routes = [{"name": "after-refusal", "policy": "priority", "targets": ["refused/x", "good/x"]}]
        cls.host = Portolan(settings(*providers, routes=routes, routing={"retry": {"max_attempts": 3, "longest_wait_ms": 2000}}))

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        cls.upstream.close()

    @classmethod
    def behave(cls, call):
        kind = call.json["model"]
        if kind == "e503":
            call.reply(503, {"error": {"message": "overloaded", "type": "server_error"}})
        elif kind == "e429":
            call.reply(429, {"error": {"message": "slow down", "type": "rate_limit"}}, headers={"retry-after": "7"})
        elif kind == "html":
            call.reply(200, b"<html>welcome to the captive portal</html>", "text/html")
        elif kind == "empty":
            call.reply(200, b"")
        elif kind == "silent":
            call.wait_gone(10)
        elif kind == "early":
            call.cut()
        elif kind in ("one-ends", "both-end"):
            call.start()
            for index, finish in ((0, None), (1, None), (1, "stop"), (0, "stop" if kind == "both-end" else None)):
                call.event({**delta(), "choices": [{"index": index, "delta": {"content": "x"}, "finish_reason": finish}]})
            call.end()
        elif kind == "x":
            call.reply(200, answer("from the good one"))
        else:
            call.start()
            call.event({**delta("Hel"), "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}, "finish_reason": None}]})
            call.event(delta("lo"))
            if kind == "cut":
                call.cut()
            elif kind == "fin":
                call.cut(reset=False)
            elif kind == "stall":
                call.wait_gone(10)
            elif kind == "fault":
                call.event({"error": {"message": "model exploded", "type": "server_error", "code": 500}})
                call.end()
            elif kind == "nofinish":
                call.end()
            elif kind == "junk":
                call.chunk(b"data: {not json\n\n")
                call.end()
            else:
                call.event(delta(finish="stop"))
                if kind != "nodone":
                    call.event(b"[DONE]")
                call.end()

    def whole(self, model):
        return self.host.chat(ask_for(f"{model}/{model}"))

    def streamed(self, model):
        stream = self.host.stream(ask_for(f"{model}/{model}", stream=True))
        body = stream.read_all()
        stream.close()
        return stream, body

    def assert_error(self, reply, statuses):
        self.assertIn(reply.status, statuses, reply)
        error = reply.json["error"]
        self.assertTrue(error["message"])
        self.assertTrue(error["type"])
        self.assertNotIn("sk-test-upstream", reply.body.decode())

    def test_refused_connections_are_502(self):
        self.assert_error(self.whole("refused"), (502, 503))

    def test_an_overloaded_upstream_is_5xx(self):
        self.assert_error(self.whole("e503"), (502, 503))

    def test_a_rate_limit_keeps_its_status_and_its_pause(self):
        reply = self.whole("e429")
        self.assert_error(reply, (429,))
        self.assertTrue(5 <= int(reply.headers["retry-after"]) <= 8, reply.headers)

    def test_a_200_that_is_no_answer_is_an_error(self):
        self.assert_error(self.whole("html"), (502,))
        self.assert_error(self.whole("empty"), (502,))

    def test_an_upstream_that_closes_before_answering_is_an_error(self):
        self.assert_error(self.whole("early"), (502, 503))

    def test_a_silent_upstream_is_given_up_in_time(self):
        began = time.monotonic()
        self.assert_error(self.whole("silent"), (502, 504))
        self.assertLess(time.monotonic() - began, 5 * SLOWNESS)

    def test_broken_streams_never_look_finished(self):
        for kind in ("cut", "fin", "stall", "fault", "nofinish", "junk"):
            with self.subTest(kind):
                stream, body = self.streamed(kind)
                self.assertEqual(stream.status, 200)
                self.assertTrue(text_of(body.split(b'data: {"error"')[0].split(b"data: {not")[0]).startswith("Hel"), body)
                events = events_of(body)
                self.assertNotIn("[DONE]", events)
                errors = [e for e in events if e.startswith("{") and '"error"' in e]
                self.assertEqual(len(errors), 1, body)
                self.assertTrue(json.loads(errors[0])["error"]["message"])

    def test_a_stream_without_done_but_with_a_finish_is_complete(self):
        stream, body = self.streamed("nodone")
        self.assertTrue(stream.complete)
        self.assertEqual(text_of(body), "Hello")
        self.assertFalse([e for e in events_of(body) if '"error"' in e], body)

    def test_of_two_choices_both_must_have_ended(self):
        def streamed(model):
            stream = self.host.stream(ask_for(model, stream=True, n=2))
            return events_of(stream.read_all())
        self.assertIn('"error"', streamed("pair/one-ends")[-1])
        self.assertNotIn('"error"', streamed("pair/both-end")[-1])

    def test_the_next_candidate_answers_in_place_of_a_broken_one(self):
        reply = self.host.chat(ask_for("after-refusal"))
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.json["choices"][0]["message"]["content"], "from the good one")
        self.assertEqual(reply.headers["x-portolan-provider"], "good")

    def test_zz_the_host_is_well_afterwards(self):
        reply = self.host.chat(ask_for("good/x"))
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(self.upstream.failures, [])


class ClientsThatLeave(unittest.TestCase):
    LIMIT = 0.25

    def left_at_phase(self, phase, reset=False):
        reached, gone = threading.Event(), []

        def behave(call):
            if phase != "before headers":
                call.start()
            if phase == "mid stream":
                call.event(delta("some"))
            reached.set()
            gone.append(call.wait_gone(5))

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base))) as host:
            stream = host.stream(ask_for("up/m", stream=True))
            self.assertTrue(reached.wait(10 * SLOWNESS))
            if phase == "mid stream":
                stream.read_until(b"some")
            left = time.monotonic()
            stream.close(reset)
            wait_until(lambda: gone, 6, "the end of the upstream call")
            self.assertIsNotNone(gone[0], "the upstream connection stayed open")
            self.assertLess(gone[0] - left, self.LIMIT * SLOWNESS)

    def test_before_the_upstream_answered(self):
        self.left_at_phase("before headers")

    def test_during_a_silent_prefill(self):
        self.left_at_phase("silent prefill")

    def test_in_mid_stream(self):
        self.left_at_phase("mid stream")

    def test_with_a_reset(self):
        self.left_at_phase("mid stream", reset=True)


    def test_a_provider_that_drains_is_read_to_its_end_for_its_usage(self):
        go_on = threading.Event()
        closed = []

        def behave(call):
            call.start()
            call.event(delta("some"))
            go_on.wait(10)
            time.sleep(0.2)  # the client is gone by now
            call.event(delta(finish="stop"))
            call.event({**delta(), "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
            call.event(b"[DONE]")
            closed.append(call.wait_gone(0.3))
            call.end()

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base, on_disconnect="drain"))) as host:
            stream = host.stream(ask_for("up/m", stream=True))
            stream.read_until(b"some")
            stream.close(reset=True)
            go_on.set()
            rows = wait_until(lambda: host.get("/api/logs").json["data"], 6, "the end of the request")
            self.assertEqual(closed, [None])
            self.assertEqual(rows[0]["status"], 499)
            self.assertEqual(rows[0]["tokens_out"], 7)


class ClientsThatDawdle(unittest.TestCase):
    def test_the_upstream_is_read_no_faster_than_the_client_reads(self):
        sent, stopped = [0], threading.Event()
        piece = b"data: " + json.dumps(delta("x" * 8000)).encode() + b"\n\n"

        def behave(call):
            call.start()
            frame = b"%x\r\n" % len(piece) + piece + b"\r\n"
            while not stopped.is_set():
                call.connection.sendall(frame)
                sent[0] += len(frame)

        with Upstream(behave, send_buffer=65536) as upstream, Portolan(settings(provider(upstream.base))) as host:
            before = host.resident_kib()
            stream = host.stream(ask_for("up/m", stream=True), receive_buffer=4096)
            stream.head()

            def at_rest():
                now = sent[0]
                time.sleep(0.5)
                return now == sent[0] and now

            total = wait_until(at_rest, 20, "an upstream that is made to wait")
            self.assertLess(total, 16 << 20, "bytes that the upstream could get rid of")  # kernel buffers of four sockets
            if SLOWNESS == 1:  # a sanitizer keeps what was freed
                self.assertLess(host.resident_kib() - before, 4096)
            stopped.set()
            stream.close()


class Crowds(unittest.TestCase):
    """server.limits.buffered_bytes: what may be kept for all clients together."""

    def test_what_does_not_fit_is_refused_and_told(self):
        def behave(call):
            if call.json["model"] == "large":
                return call.reply(200, answer("x" * (3 << 20)))
            if call.json["model"] == "endless":
                call.start()
                call.event({**delta(), "choices": [{"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}]})
                return call.chunk(b"data: " + b"x" * (3 << 20))
            call.reply(200, answer())

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base), server={"limits": {"buffered_bytes": 2 << 20}})) as host:
            for body in (ask_for("up/large"), {**ask_for("up/small"), "user": "x" * (3 << 20)}):
                reply = host.chat(body)
                self.assertEqual(reply.status, 503, reply)
                self.assertEqual(reply.json["error"]["code"], "server_busy")
                self.assertEqual(reply.headers["retry-after"], "1")
            stream = host.stream(ask_for("up/endless", stream=True))
            events = events_of(stream.read_all())
            self.assertEqual(json.loads(events[-1])["error"]["code"], "server_busy")
            page = host.get("/metrics").body.decode()
            self.assertIn('portolan_buffer_full_total{result="refused"} 3\n', page)
            self.assertEqual(host.chat(ask_for("up/small")).status, 200)
            wait_until(lambda: "portolan_buffered_bytes 0\n" in host.get("/metrics").body.decode(), what="nothing kept")


class Endings(unittest.TestCase):
    def test_live_streams_finish_and_readiness_goes_at_once(self):
        go_on = threading.Event()

        def behave(call):
            call.start()
            call.event(delta("first "))
            go_on.wait(20)
            call.event(delta("last"))
            call.event(delta(finish="stop"))
            call.event(b"[DONE]")
            call.end()

        with Upstream(behave) as upstream:
            host = Portolan(settings(provider(upstream.base), server={"shutdown_grace_ms": 20000, "shutdown_delay_ms": 1500}))
            with host:
                stream = host.stream(ask_for("up/m", stream=True))
                body = stream.read_until(b"first ")
                host.signal(signal.SIGTERM)
                began = time.monotonic()
                wait_until(lambda: host.get("/readyz").status == 503, 1, "readyz 503")
                self.assertLess(time.monotonic() - began, 0.1 * max(SLOWNESS, 2))
                go_on.set()
                body += stream.read_all()
                self.assertTrue(stream.complete)
                self.assertEqual(text_of(body), "first last")
                self.assertEqual(host.exit_code(), 0)

    def test_fifty_live_streams_end_whole_and_new_requests_are_refused(self):
        go_on = threading.Event()

        def behave(call):
            call.start()
            call.event(delta("first "))
            go_on.wait(20)
            for piece in (delta("last"), delta(finish="stop"), b"[DONE]"):
                call.event(piece)
            call.end()

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base), server={"shutdown_grace_ms": 10000})) as host:
            streams = [host.stream(ask_for("up/m", stream=True)) for _ in range(50)]
            bodies = [s.read_until(b"first ") for s in streams]
            host.signal(signal.SIGTERM)
            began = time.monotonic()

            def refused(ask):
                try:
                    return ask().status == 503
                except OSError:
                    return True

            def nobody_listens():
                try:
                    socket.create_connection(("127.0.0.1", host.port), 1).close()
                    return False
                except ConnectionRefusedError:
                    return True

            wait_until(lambda: refused(lambda: host.get("/readyz")), 1, "the signal to arrive")
            # each loop stops listening in a turn of its own, and a request before that would wait with the others
            wait_until(lambda: all(nobody_listens() for _ in range(20)), 2, "the loops to stop listening")
            self.assertTrue(refused(lambda: host.chat(ask_for("up/m"))))
            go_on.set()
            for stream, body in zip(streams, bodies):
                body += stream.read_all()
                self.assertTrue(stream.complete)
                self.assertEqual((text_of(body), events_of(body)[-1]), ("first last", "[DONE]"))
            self.assertEqual(host.exit_code(), 0)
            self.assertLess(time.monotonic() - began, 11 * SLOWNESS)

    def test_after_the_grace_what_is_left_is_cut_and_looks_cut(self):
        def behave(call):
            call.start()
            call.event(delta("first "))
            call.wait_gone(20)

        with Upstream(behave) as upstream, Portolan(settings(provider(upstream.base), server={"shutdown_grace_ms": 300})) as host:
            stream = host.stream(ask_for("up/m", stream=True))
            body = stream.read_until(b"first ")
            host.signal(signal.SIGTERM)
            began = time.monotonic()
            body += stream.read_all()
            self.assertNotIn("[DONE]", events_of(body))
            self.assertEqual(host.exit_code(), 0)
            self.assertLess(time.monotonic() - began, 1.3 * max(SLOWNESS, 2))


class Reloads(unittest.TestCase):
    def test_a_reload_keeps_streams_and_a_bad_one_keeps_the_configuration(self):
        go_on = threading.Event()

        def behave(call):
            if not call.json.get("stream"):
                return call.reply(200, answer())
            call.start()
            call.event(delta("first "))
            go_on.wait(20)
            call.event(delta("last"))
            call.event(delta(finish="stop"))
            call.event(b"[DONE]")
            call.end()

        with Upstream(behave) as upstream:
            config = settings(provider(upstream.base, models=["m"]))
            with Portolan(config) as host:
                stream = host.stream(ask_for("up/m", stream=True))
                body = stream.read_until(b"first ")
                host.write_config({**config, "routes": [{"name": "fresh", "policy": "priority", "targets": ["up/m"]}]})
                host.signal(signal.SIGHUP)
                wait_until(lambda: host.chat(ask_for("fresh")).status == 200, 10, "the new route")
                host.write_config({**config, "rutes": []})
                host.signal(signal.SIGHUP)
                host.wait_for_line(r"rutes", 10)
                self.assertEqual(host.chat(ask_for("fresh")).status, 200, "the old configuration goes on")
                go_on.set()
                body += stream.read_all()
                self.assertTrue(stream.complete)
                self.assertEqual(text_of(body), "first last")


if __name__ == "__main__":
    run_tests()
