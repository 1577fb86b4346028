"""The configuration from outside: every mistake at once with its place, sources shown, secrets hidden."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from harness import BINARY, Portolan, ask_for, run_tests

BROKEN = """\
server:
  listen: "127.0.0.1:8000"
  max_body_bites: 1000
auth:
  mode: sometimes
"""
SECRET = "sk-very-secret-0123456789"


def check(text, env=None):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "portolan.yaml"
        path.write_text(text)
        return subprocess.run([BINARY, "check-config", "--config", str(path)], capture_output=True, text=True, timeout=60, cwd=folder,
                              env={**os.environ, **(env or {})})


class CheckConfig(unittest.TestCase):
    def test_every_mistake_is_named_at_once_with_file_line_and_the_nearest_match(self):
        done = check(BROKEN)
        said = done.stdout + done.stderr
        self.assertNotEqual(done.returncode, 0, said)
        self.assertRegex(said, r"portolan\.yaml:3\b.*max_body_bites.*max_body_bytes")
        self.assertRegex(said, r"portolan\.yaml:5\b.*auth\.mode.*required")

    def test_a_type_that_no_plugin_has_is_named_with_the_nearest_match(self):
        done = check('auth: {mode: off}\nproviders: [{name: one, type: openai-compatibel, base_url: "http://127.0.0.1:1/v1"}]\n')
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r'openai-compatibel.*did you mean.*openai-compatible')

    def test_yaml_that_is_no_yaml_is_named_with_its_line(self):
        done = check("server:\n  listen: [1,\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stdout + done.stderr, r"portolan\.yaml:\d+")

    def test_a_good_file_passes(self):
        done = check('server: {listen: "127.0.0.1:8000"}\nauth: {mode: off}\nproviders: [{name: one, type: echo}]\n')
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_missing_file_is_an_error(self):
        done = subprocess.run([BINARY, "check-config", "--config", "there-is-none.yaml"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("there-is-none.yaml", done.stdout + done.stderr)

    def test_serve_refuses_a_broken_file(self):
        host = Portolan(BROKEN, expect_start=False)
        self.assertNotEqual(host.exit_code(), 0)
        self.assertIn("max_body_bites", host.output())
        host.stop()

    def test_the_shipped_example_is_valid(self):
        example = pathlib.Path(__file__).parents[2] / "config" / "portolan.example.yaml"
        done = check(example.read_text(), {"ROUTER_API_KEY": SECRET})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Effective(unittest.TestCase):
    def test_values_and_their_sources_are_shown_and_secrets_are_not(self):
        config = {"auth": {"mode": "off"}, "providers": [{"name": "one", "type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1",
                                                          "api_key": SECRET, "models": ["m"]}], "logging": {"level": "debug"}}
        with Portolan(config) as host:
            shown = host.get("/api/config")
            self.assertEqual(shown.status, 200)
            self.assertNotIn(SECRET, shown.body.decode())
            text = json.dumps(shown.json)
            self.assertIn("env PORT", text)
            self.assertRegex(text, r"portolan\.yaml:\d+")
            host.chat(ask_for("one/m"))
            self.assertNotIn(SECRET, host.output())

    def test_a_preset_lives_when_its_key_variable_is_set(self):
        with Portolan(env={"GROQ_API_KEY": SECRET}) as host:
            models = host.get("/v1/models").body.decode()
            self.assertIn("groq", models)
            self.assertNotIn(SECRET, host.get("/api/config").body.decode())

    def test_one_structured_log_line_per_request_without_bodies(self):
        with Portolan() as host:
            host.chat(ask_for("auto", "a-very-special-prompt"), headers={"x-request-id": "find-me-1"})
            line = host.wait_for_line("find-me-1")
            value = json.loads(line)
            self.assertEqual(value.get("status"), 200, line)
            host.chat(ask_for("auto"), headers={"x-request-id": "find-me-2"})
            host.wait_for_line("find-me-2")
            self.assertEqual(sum("find-me-1" in x for x in host.lines), 1)
            self.assertNotIn("a-very-special-prompt", host.output())


if __name__ == "__main__":
    run_tests()
