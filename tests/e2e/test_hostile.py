"""Bodies and bytes that must be refused before anything else happens, and the server that goes on after each."""

import json
import socket
import unittest

from harness import SLOWNESS, Portolan, Upstream, answer, ask_for, provider, run_tests, settings

GOOD = b'{"model":"up/m","messages":[{"role":"user","content":"hi"}]}'


def nested(depth):
    """A body whose deepest value is at that depth, counting the body itself as 1."""
    return b'{"model":"up/m","messages":[{"role":"user","content":"hi"}],"metadata":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


REFUSED = {
    "duplicate model": b'{"model":"up/m","model":"up/n","messages":[{"role":"user","content":"hi"}]}',
    "duplicate model, one escaped": b'{"model":"up/m","\\u006dodel":"up/n","messages":[{"role":"user","content":"hi"}]}',
    "duplicate stream": b'{"model":"up/m","stream":true,"stream":false,"messages":[{"role":"user","content":"hi"}]}',
    "duplicate below": b'{"model":"up/m","messages":[{"role":"user","role":"system","content":"hi"}]}',
    "duplicate unknown": b'{"model":"up/m","api_base":"a","api_base":"b","messages":[{"role":"user","content":"hi"}]}',
    "array": b"[1]",
    "string": b'"hello"',
    "number": b"1",
    "null": b"null",
    "empty": b"",
    "spaces": b"   ",
    "trailing data": GOOD + b"{}",
    "trailing comma": b'{"model":"up/m","messages":[{"role":"user","content":"hi"}],}',
    "comment": b'{/* */"model":"up/m","messages":[{"role":"user","content":"hi"}]}',
    "single quotes": b"{'model':'up/m'}",
    "NaN": b'{"model":"up/m","temperature":NaN,"messages":[{"role":"user","content":"hi"}]}',
    "leading zero": b'{"model":"up/m","temperature":01,"messages":[{"role":"user","content":"hi"}]}',
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "invalid utf-8": b'{"model":"up/m","messages":[{"role":"user","content":"\xff"}]}',
    "overlong utf-8": b'{"model":"up/m","messages":[{"role":"user","content":"\xc0\xaf"}]}',
    "utf-8 surrogate": b'{"model":"up/m","messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
    "raw NUL": b'{"model":"up/m","messages":[{"role":"user","content":"a\x00b"}]}',
    "raw line feed": b'{"model":"up/m","messages":[{"role":"user","content":"a\nb"}]}',
    "unclosed string": b'{"model":"up/m',
    "unclosed object": b'{"model":"up/m","messages":[]',
    "depth 65": nested(65),
    "depth 100000": nested(100000),
    "model a number": b'{"model":1,"messages":[{"role":"user","content":"hi"}]}',
    "model empty": b'{"model":"","messages":[{"role":"user","content":"hi"}]}',
    "model missing": b'{"messages":[{"role":"user","content":"hi"}]}',
    "messages missing": b'{"model":"up/m"}',
    "messages empty": b'{"model":"up/m","messages":[]}',
    "messages a string": b'{"model":"up/m","messages":"hi"}',
    "message a string": b'{"model":"up/m","messages":["hi"]}',
    "stream a string": b'{"model":"up/m","stream":"yes","messages":[{"role":"user","content":"hi"}]}',
}
ACCEPTED = {
    "plain": GOOD,
    "white space around": b" \r\n\t" + GOOD + b"\n",
    "depth 60": nested(60),
    "same name in other objects": b'{"model":"up/m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}',
    "escapes": b'{"\\u006dodel":"up/\\u006d","messages":[{"role":"user","content":"\\ud83d\\ude00 \\n \\u0000"}]}',
    "unknown fields": b'{"model":"up/m","brand_new":{"a":[1,2.5e3,null,true]},"messages":[{"role":"user","content":"hi"}]}',
    "big numbers": b'{"model":"up/m","seed":18446744073709551615,"messages":[{"role":"user","content":"hi"}]}',
}


class Bodies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = Upstream(lambda call: call.reply(200, answer()))
        cls.host = Portolan(settings(provider(cls.upstream.base)))

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        cls.upstream.close()

    def test_what_must_be_refused_is_refused_before_the_upstream_hears_of_it(self):
        for name, body in REFUSED.items():
            with self.subTest(name):
                before = self.upstream.calls
                reply = self.host.chat(body)
                self.assertEqual(reply.status, 400, reply)
                self.assertEqual(reply.json["error"]["type"], "invalid_request_error")
                self.assertTrue(reply.json["error"]["message"])
                self.assertEqual(self.upstream.calls, before)

    def test_what_is_legal_is_accepted(self):
        for name, body in ACCEPTED.items():
            with self.subTest(name):
                self.assertEqual(self.host.chat(body).status, 200, name)

    def test_a_large_body_is_taken_and_a_too_large_one_is_413(self):
        self.assertEqual(self.host.chat(ask_for("up/m", "x" * 2_000_000)).status, 200)
        with socket.create_connection(("127.0.0.1", self.host.port)) as s:
            s.settimeout(10 * SLOWNESS)
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999999999\r\n\r\n{")
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 413"))

    def test_compressed_bodies_are_415(self):
        self.assertEqual(self.host.chat(GOOD, headers={"content-encoding": "gzip"}).status, 415)

    def test_what_the_front_refuses_is_json_and_closed(self):
        for name, raw in {
            "two lengths": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
            "length and chunked": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "no host": b"GET /livez HTTP/1.1\r\n\r\n",
            "bare line feeds": b"GET /livez HTTP/1.1\nhost: x\n\n",
            "folded header": b"GET /livez HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
            "tls on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
        }.items():
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.host.port)) as s:
                s.settimeout(10 * SLOWNESS)
                s.sendall(raw + b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
                got = b""
                try:
                    while piece := s.recv(4096):
                        got += piece
                except ConnectionResetError:
                    pass
                self.assertRegex(got[:12], rb"HTTP/1.[01] (400|501)")
                self.assertEqual(got.count(b"HTTP/1."), 1, "one refusal and nothing after it")
                self.assertIn("error", json.loads(got.split(b"\r\n\r\n", 1)[1]))

    def test_zz_the_server_goes_on(self):
        self.assertEqual(self.host.chat(GOOD).status, 200)


if __name__ == "__main__":
    run_tests()
