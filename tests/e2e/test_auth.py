"""Who may ask: the three modes, the ways to send a key, and what stays open."""

import unittest

from harness import Portolan, Stream, ask_for, run_tests

KEY = "sk-e2e-0123456789abcdef"


class Required(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Portolan({"auth": {"mode": "required"}}, env={"ROUTER_API_KEY": KEY})

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()

    def test_without_a_key_it_is_401(self):
        reply = self.host.chat(ask_for("auto"))
        self.assertEqual(reply.status, 401, reply)
        self.assertIn(reply.json["error"]["code"], ("missing_api_key", "invalid_api_key"))
        self.assertEqual(reply.json["error"]["type"], "authentication_error")

    def test_a_wrong_key_is_401_and_not_repeated(self):
        for wrong in ("sk-wrong", KEY[:-1], KEY + "x", KEY.upper(), ""):
            reply = self.host.chat(ask_for("auto"), headers={"authorization": f"Bearer {wrong}"})
            self.assertEqual(reply.status, 401, reply)
            if wrong:
                self.assertNotIn(wrong.encode(), reply.body)

    def test_every_way_to_send_the_key_is_taken(self):
        for header in ({"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}, {"api-key": KEY}, {"x-goog-api-key": KEY}):
            self.assertEqual(self.host.chat(ask_for("auto"), headers=header).status, 200, header)

    def test_probes_are_open_and_details_are_not(self):
        for path in ("/health", "/livez", "/readyz"):
            self.assertEqual(self.host.get(path).status, 200, path)
        for path in ("/v1/models", "/api/config", "/api/plugins", "/metrics"):
            self.assertEqual(self.host.get(path).status, 401, path)
            self.assertEqual(self.host.get(path, headers={"authorization": f"Bearer {KEY}"}).status, 200, path)

    def test_other_spellings_of_a_path_are_not_open(self):
        for path in ("//api/config", "/./api/config", "/api/%63onfig", "/API/config", "/health/../api/config", "/livez/../api/config", "/api/config/",
                     "/api/config;x", "/health%2f..%2fapi/config"):
            self.assertIn(self.host.get(path).status, (400, 401, 404), path)

    def test_the_key_is_in_no_answer_and_no_log(self):
        headers = {"authorization": f"Bearer {KEY}"}
        for path in ("/api/config", "/metrics", "/api/plugins"):
            self.assertNotIn(KEY.encode(), self.host.get(path, headers=headers).body, path)
        self.assertNotIn(KEY, self.host.output())


class Optional(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = Portolan({"auth": {"mode": "optional"}}, env={"ROUTER_API_KEY": KEY})

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()

    def test_no_key_is_fine_and_a_bad_one_is_not(self):
        self.assertEqual(self.host.chat(ask_for("auto")).status, 200)
        self.assertEqual(self.host.chat(ask_for("auto"), headers={"authorization": f"Bearer {KEY}"}).status, 200)
        self.assertEqual(self.host.chat(ask_for("auto"), headers={"authorization": "Bearer sk-wrong"}).status, 401)


class Off(unittest.TestCase):
    def test_any_key_will_do(self):
        with Portolan({"auth": {"mode": "off"}}) as host:
            self.assertEqual(host.chat(ask_for("auto")).status, 200)
            self.assertEqual(host.chat(ask_for("auto"), headers={"authorization": "Bearer whatever"}).status, 200)

    def test_a_key_makes_a_public_address_acceptable(self):
        with Portolan({"auth": {"mode": "required"}}, env={"ROUTER_API_KEY": KEY, "HOST": "0.0.0.0"}) as host:
            self.assertEqual(host.chat(ask_for("auto")).status, 401)


class LongAuth(unittest.TestCase):
    def test_a_refused_stream_is_an_error_object(self):
        with Portolan({"auth": {"mode": "required"}}, env={"ROUTER_API_KEY": KEY}) as host:
            stream = Stream(host.port, ask_for("auto", stream=True))
            self.assertEqual(stream.head(), 401)
            self.assertIn(b'"error"', stream.read_all())
            stream.close()


if __name__ == "__main__":
    run_tests()
