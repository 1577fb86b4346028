"""Everything that is no conversation, through the real binary: recorded answers of real providers, and what goes wrong."""

import base64
import csv
import http.client
import json
import struct
import sys
import unittest

from harness import SHARED, SKIPPED, Portolan, Upstream, ask_for, provider, run_tests, settings

RECORDINGS = SHARED / "data" / "recordings"
PATHS = {"embeddings": "/v1/embeddings", "completions": "/v1/completions", "moderations": "/v1/moderations", "rerank": "/v1/rerank", "images": "/v1/images/generations"}
BODIES = {"embeddings": {"input": "hello"}, "completions": {"prompt": "hello"}, "moderations": {"input": "hello"},
          "rerank": {"query": "q", "documents": ["a", "b"]}, "images": {"prompt": "a cat"}}
# Cases of dialects that an OpenAI-compatible provider does not speak; other plugins have them in their wire cases.
FOREIGN = ("bedrock/", "gemini/", "vertex/", "cohere/", "ollama/", "portkey/")
# Writer's streamed completions are in a form of its own ({"value": …}); the host calls that no answer.
# OpenRouter and Gemini make pictures in a conversation, editing is another path.
ELSEWHERE = ("image_edit", "openrouter/images", "writer_async_streaming")


def post(host, path, body, headers=None):
    """(status, headers, body) of a JSON request; the client is one that keeps nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json", **(headers or {})})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


class Recorded(unittest.TestCase):
    """Each recorded answer as the upstream's, equal at the client."""

    @classmethod
    def setUpClass(cls):
        with open(RECORDINGS / "INDEX.tsv", newline="") as index:
            rows = [r for r in csv.DictReader(index, delimiter="\t") if r["api"] in PATHS]
        cls.rows = [r for r in rows if not r["file"].startswith(FOREIGN) and not any(x in r["file"] for x in ELSEWHERE)]
        cls.cases = {}
        cls.upstream = Upstream(cls.serve)
        names = [f"p{n}" for n in range(len(cls.rows))]
        cls.host = Portolan(settings(*[provider(cls.upstream.base, name=n) for n in names]))

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        cls.upstream.close()

    @classmethod
    def serve(cls, call):
        body, status, kind = cls.cases[call.json["model"]]
        call.reply(status, body, kind)

    def test_every_recorded_answer_comes_out_as_it_went_in(self):
        wrong, counted = [], 0
        for n, row in enumerate(self.rows):
            recorded = json.loads((RECORDINGS / row["file"]).read_text())
            response = recorded["response"]
            body = response["body_text"].encode() if "body_text" in response else json.dumps(response["body"]).encode()
            stream = row["stream"] == "1"
            kind = response["headers"].get("content-type") or ("text/event-stream" if stream else "application/json")
            model = f"case-{n}"
            self.cases[model] = (body, response["status"], kind)
            request = dict((recorded.get("request") or {}).get("body") or BODIES[row["api"]])
            request.update({"model": f"p{n}/{model}", "stream": stream} if stream else {"model": f"p{n}/{model}"})
            if stream:
                request["stream_options"] = {"include_usage": True}
            else:
                request.pop("stream", None), request.pop("stream_options", None)
            request.pop("provider", None)
            wants64 = request.get("encoding_format") == "base64"
            status, _, got = post(self.host, PATHS[row["api"]], request)
            counted += 1
            if response["status"] != 200:
                expected = 404 if "voyage" in row["file"] else {400: 400, 404: 404, 401: 503}[response["status"]]  # Voyage's 400 says that the model is unknown
                if status != expected or not json.loads(got)["error"]["message"]:
                    wrong.append(f"{row['file']}: status {status}: {got[:200]}")
            elif status != 200:
                wrong.append(f"{row['file']}: status {status}: {got[:200]}")
            elif "voyage/rerank" in row["file"]:
                if json.loads(got)["results"] != json.loads(body)["data"]:
                    wrong.append(f"{row['file']}: the list is not called results")
            elif wants64 and isinstance(json.loads(body)["data"][0]["embedding"], list):
                if json.loads(got)["data"][0]["embedding"] == json.loads(body)["data"][0]["embedding"]:
                    wrong.append(f"{row['file']}: not base64")
            elif got != body and got != body + b"data: [DONE]\n\n":
                wrong.append(f"{row['file']}: {got[:200]} instead of {body[:200]}")
        print(f"\n{counted} recorded answers, {counted - len(wrong)} equal")
        self.assertGreaterEqual(counted, 25)
        self.assertEqual(wrong, [])
        self.assertEqual(self.upstream.failures, [])


class Operations(unittest.TestCase):
    def setUp(self):
        self.calls = []
        self.reply = lambda call: call.reply(200, {})
        self.upstream = Upstream(self.serve)
        models = ["talker", {"id": "embedder", "operations": ["embeddings"], "price": {"input": 0.02, "output": 0}}, {"id": "voice", "operations": ["speech"]}]
        self.host = Portolan(settings(provider(self.upstream.base, models=models)))

    def tearDown(self):
        self.host.stop()
        self.upstream.close()

    def serve(self, call):
        self.calls.append(call)
        self.reply(call)

    def embeds(self, vector):
        self.reply = lambda call: call.reply(200, {"object": "list", "model": "e-1", "data": [{"object": "embedding", "index": 0, "embedding": vector}],
                                                   "usage": {"prompt_tokens": 1000, "total_tokens": 1000}})

    def test_floats_become_base64_for_who_asked_for_it(self):
        self.embeds([0.25, -2])
        status, _, body = post(self.host, "/v1/embeddings", {"model": "embedder", "input": "x", "encoding_format": "base64"})
        self.assertEqual(status, 200)
        self.assertEqual(struct.unpack("<2f", base64.b64decode(json.loads(body)["data"][0]["embedding"])), (0.25, -2.0))
        self.assertEqual((self.calls[0].path, self.calls[0].json), ("/v1/embeddings", {"model": "embedder", "input": "x", "encoding_format": "base64"}))

    def test_usage_and_cost_are_known(self):
        self.embeds([1])
        status, headers, _ = post(self.host, "/v1/embeddings", {"model": "embedder", "input": "x"})
        self.assertEqual(status, 200)
        self.assertEqual(headers["x-portolan-tokens-in"], "1000")
        self.assertEqual(float(headers["x-portolan-cost-usd"]), 0.00002)

    def test_a_model_is_asked_only_for_what_it_is_for(self):
        for path, body in (("/v1/chat/completions", ask_for("embedder")), ("/v1/rerank", {"model": "embedder", "query": "q", "documents": ["d"]})):
            status, _, answer = post(self.host, path, body)
            self.assertEqual((status, self.calls), (422, []), answer)
        self.reply = lambda call: call.reply(200, {"id": "1", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]})
        self.assertEqual(post(self.host, "/v1/chat/completions", ask_for("auto"))[0], 200)
        self.assertEqual(self.calls[0].json["model"], "talker")

    def test_auto_finds_the_model_for_an_operation(self):
        self.embeds([1])
        self.assertEqual(post(self.host, "/v1/embeddings", {"model": "auto", "input": "x", "portolan": {"deny": ["talker"]}})[0], 200)
        self.assertEqual(self.calls[0].json, {"model": "embedder", "input": "x"})

    def test_a_provider_may_be_pinned_by_the_path(self):
        self.embeds([1])
        self.assertEqual(post(self.host, "/v1/providers/up/embeddings", {"model": "embedder", "input": "x"})[0], 200)

    def test_a_200_that_is_no_answer_is_the_upstreams_fault(self):
        self.reply = lambda call: call.reply(200, {"detail": "something went wrong"})
        status, _, body = post(self.host, "/v1/embeddings", {"model": "embedder", "input": "x"})
        self.assertEqual(status, 502, body)

    def test_speech_comes_as_bytes_of_its_own_type(self):
        sound = bytes(range(256)) * 1000

        def speak(call):
            call.start("audio/mpeg")
            for at in range(0, len(sound), 5000):
                call.chunk(sound[at:at + 5000])
            call.end()

        self.reply = speak
        status, headers, body = post(self.host, "/v1/audio/speech", {"model": "voice", "input": "hello", "voice": "alloy"})
        self.assertEqual((status, headers["content-type"], body), (200, "audio/mpeg", sound))

    def test_speech_that_breaks_off_never_looks_finished(self):
        def speak(call):
            call.start("audio/mpeg")
            call.chunk(b"abc" * 5000)
            call.cut()

        self.reply = speak
        with self.assertRaises((http.client.IncompleteRead, ConnectionResetError, http.client.RemoteDisconnected)):
            status, _, body = post(self.host, "/v1/audio/speech", {"model": "voice", "input": "hello"})
            if status >= 500:  # nothing was sent before it broke
                raise ConnectionResetError(body)

    def test_an_error_before_speech_is_json(self):
        self.reply = lambda call: call.reply(400, {"error": {"message": "no such voice", "code": "invalid_voice"}})
        status, headers, body = post(self.host, "/v1/audio/speech", {"model": "voice", "input": "hello"})
        self.assertEqual((status, headers["content-type"]), (400, "application/json"))
        self.assertIn("no such voice", json.loads(body)["error"]["message"])

    def test_a_completions_stream_that_breaks_off_ends_with_an_error(self):
        def begin(call):
            call.start()
            call.event({"id": "c", "object": "text_completion", "choices": [{"index": 0, "text": "Hel", "finish_reason": None}]})
            call.cut(reset=False)

        self.reply = begin
        status, _, body = post(self.host, "/v1/completions", {"model": "talker", "prompt": "x", "stream": True})
        self.assertEqual(status, 200)
        self.assertIn(b'"text": "Hel"', body)
        self.assertIn(b'"error"', body)
        self.assertNotIn(b"[DONE]", body)

    def test_the_paths_are_known_by_their_methods(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.host.port, timeout=10)
        connection.request("GET", "/v1/embeddings")
        reply = connection.getresponse()
        self.assertEqual((reply.status, reply.getheader("allow")), (405, "POST"))
        connection.close()


if __name__ == "__main__":
    if not (RECORDINGS / "INDEX.tsv").exists():
        print(f"SKIPPED: no recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
