"""A fresh machine: no file, no key, and an answer all the same."""

import json
import shutil
import signal
import subprocess
import unittest

from harness import BINARY, Portolan, Upstream, answer, ask_for, events_of, run_tests, settings, text_of, wait_until


class FirstRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Portolan()

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()

    def printed_curl(self):
        """The command, which may go over several lines that end in a backslash."""
        first = self.host.lines.index(self.host.wait_for_line(r"curl .*/v1/chat/completions"))
        last = first
        while self.host.lines[last].endswith("\\"):
            last += 1
            wait_until(lambda: len(self.host.lines) > last, 5, "the rest of the curl line")
        command = "\n".join(self.host.lines[first:last + 1])
        return command[command.index("curl "):]

    def test_the_start_prints_a_curl_line_to_paste(self):
        self.assertIn(f":{self.host.port}", self.printed_curl())

    def test_the_printed_curl_line_works_as_it_stands(self):
        if not shutil.which("curl"):
            self.skipTest("no curl here")
        done = subprocess.run(["bash", "-c", self.printed_curl()], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(text_of(done.stdout) if b"data: " in done.stdout else json.loads(done.stdout), done.stdout)

    def test_auto_answers_whole(self):
        reply = self.host.chat(ask_for("auto", "one two three"))
        self.assertEqual(reply.status, 200, reply)
        self.assertEqual(reply.headers["content-type"].split(";")[0], "application/json")
        choice = reply.json["choices"][0]
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertIn("one two three", choice["message"]["content"])
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertGreater(reply.json["usage"]["total_tokens"], 0)

    def test_auto_answers_streamed(self):
        stream = self.host.stream(ask_for("auto", "one two three", stream=True))
        body = stream.read_all()
        stream.close()
        self.assertEqual(stream.status, 200)
        self.assertTrue(stream.complete)
        self.assertTrue(stream.headers["content-type"].startswith("text/event-stream"))
        self.assertIn("one two three", text_of(body))
        events = events_of(body)
        self.assertEqual(events[-1], "[DONE]")
        chunks = [json.loads(x) for x in events[:-1]]
        self.assertEqual(chunks[0]["choices"][0]["delta"].get("role"), "assistant")
        self.assertEqual(sum(1 for c in chunks for x in c["choices"] if x.get("finish_reason")), 1)
        self.assertFalse(any(c.get("usage") for c in chunks), "usage was not asked for")
        self.assertEqual(len({c["id"] for c in chunks}), 1)

    def test_usage_comes_last_when_asked_for(self):
        stream = self.host.stream(ask_for("auto", stream=True, stream_options={"include_usage": True}))
        events = events_of(stream.read_all())
        stream.close()
        last = json.loads(events[-2])
        self.assertEqual(last["choices"], [])
        self.assertGreater(last["usage"]["total_tokens"], 0)

    def test_headers_tell_what_happened(self):
        reply = self.host.chat(ask_for("auto"), headers={"x-request-id": "my-id-1"})
        self.assertEqual(reply.headers["x-request-id"], "my-id-1")
        self.assertEqual(reply.headers["x-portolan-requested-model"], "auto")
        for name in ("x-portolan-resolved-model", "x-portolan-route", "x-portolan-policy", "x-portolan-provider", "x-portolan-attempts",
                     "x-orca-resolved-model", "x-llm-router-target-model"):
            self.assertIn(name, reply.headers)
        self.assertTrue(self.host.chat(ask_for("auto")).headers["x-request-id"])

    def test_models_are_listed_and_found(self):
        reply = self.host.get("/v1/models")
        self.assertEqual((reply.status, reply.json["object"]), (200, "list"))
        ids = [m["id"] for m in reply.json["data"]]
        self.assertIn("auto", ids)
        self.assertTrue(any("echo" in i for i in ids), ids)
        for model in reply.json["data"]:
            self.assertEqual(model["object"], "model")
            self.assertIsInstance(model["created"], int)
            self.assertIsInstance(model["owned_by"], str)
        self.assertEqual(self.host.get("/v1/models/auto").json["id"], "auto")
        missing = self.host.get("/v1/models/there-is-none")
        self.assertEqual((missing.status, missing.json["error"]["code"]), (404, "model_not_found"))

    def test_an_unknown_model_is_404(self):
        reply = self.host.chat(ask_for("there-is-none"))
        self.assertEqual((reply.status, reply.json["error"]["code"]), (404, "model_not_found"), reply)

    def test_health_paths_answer(self):
        for path in ("/health", "/livez", "/readyz"):
            self.assertEqual(self.host.get(path).status, 200, path)

    def test_metrics_are_prometheus_text(self):
        self.host.chat(ask_for("auto"))
        reply = self.host.get("/metrics")
        self.assertEqual(reply.status, 200, reply)
        self.assertTrue(reply.headers["content-type"].startswith("text/plain"))
        self.assertRegex(reply.body.decode(), r"(?m)^# TYPE portolan_\w+ (counter|gauge|histogram)$")

    def test_explain_names_the_candidates_without_asking_one(self):
        reply = self.host.ask("POST", "/api/route/explain", ask_for("auto"))
        self.assertEqual(reply.status, 200, reply)
        self.assertIn("echo", json.dumps(reply.json))

    def test_plugins_and_config_are_shown(self):
        plugins = self.host.get("/api/plugins")
        self.assertEqual(plugins.status, 200, plugins)
        self.assertIn("echo", plugins.body.decode())
        config = self.host.get("/api/config")
        self.assertEqual(config.status, 200, config)
        self.assertIn("server.", config.body.decode())

    def test_query_is_ignored_and_unknown_paths_are_404(self):
        self.assertEqual(self.host.ask("POST", "/v1/chat/completions?api-version=1", ask_for("auto")).status, 200)
        missing = self.host.get("/v1/nothing")
        self.assertEqual(missing.status, 404)
        self.assertIn("error", missing.json)
        wrong = self.host.get("/v1/chat/completions")
        self.assertEqual(wrong.status, 405, wrong)


class StartAndStop(unittest.TestCase):
    def test_sigterm_ends_with_code_0(self):
        host = Portolan()
        self.assertEqual(host.chat(ask_for("auto")).status, 200)
        self.assertEqual(host.stop(), 0)

    def test_sigint_ends_with_code_0(self):
        host = Portolan()
        host.signal(signal.SIGINT)
        self.assertEqual(host.exit_code(), 0)
        host.stop()

    def test_a_public_address_without_auth_is_refused(self):
        host = Portolan(settings(), env={"HOST": "0.0.0.0"}, expect_start=False)
        code = host.exit_code()
        self.assertNotEqual(code, 0)
        self.assertRegex(host.output(), r"(?i)auth|key|loopback")
        self.assertIsNone(host.port)
        host.stop()

    def test_version_and_unknown_verbs(self):
        done = subprocess.run([BINARY, "version"], capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"\d+\.\d+\.\d+")
        self.assertNotEqual(subprocess.run([BINARY, "dance"], capture_output=True, timeout=30).returncode, 0)

    def test_upstream_variables_alone_serve_a_relay(self):
        with Upstream(lambda call: call.reply(200, answer("relayed"))) as upstream:
            with Portolan(env={"UPSTREAM_BASE_URL": upstream.base, "UPSTREAM_API_KEY": "sk-up"}) as host:
                reply = host.chat(ask_for("some-model"))
                self.assertEqual(reply.status, 200, reply)
                self.assertEqual(reply.json["choices"][0]["message"]["content"], "relayed")


if __name__ == "__main__":
    run_tests()
