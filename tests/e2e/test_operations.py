"""Everything that is no conversation, through the real binary: recorded answers of real providers, and what goes wrong."""

import base64
import csv
import email
import email.policy
import http.client
import json
import random
import struct
import sys
import unittest

from harness import SHARED, SKIPPED, Portolan, Upstream, ask_for, events_of, provider, run_tests, settings

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


def fields_of(call):
    """[(name, filename, content type, bytes)] of a multipart request, read by the standard library."""
    message = email.message_from_bytes(b"content-type: " + call.headers["content-type"].encode() + b"\r\n\r\n" + call.body, policy=email.policy.HTTP)
    out = []
    for part in message.iter_parts():
        disposition = part["content-disposition"]
        kind = part.get_content_type() if part["content-type"] else None
        # get_payload() takes a last line break for its own: the exact bytes are looked for in the body instead
        out.append((disposition.params["name"], disposition.params.get("filename"), kind, part.get_payload(decode=True)))
    return out


def form(*fields, boundary="bOUNdary"):
    """A multipart body and its content type; fields: (name, bytes or text[, filename, content type])."""
    out = b""
    for name, value, *file in fields:
        head = f'content-disposition: form-data; name="{name}"' + (f'; filename="{file[0]}"\r\ncontent-type: {file[1]}' if file else "")
        out += f"--{boundary}\r\n{head}\r\n\r\n".encode() + (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


class Forms(unittest.TestCase):
    SOUND = random.Random(7).randbytes(700_000)

    def setUp(self):
        self.calls = []
        self.reply = lambda call: call.reply(200, {"text": "hello", "usage": {"type": "tokens", "input_tokens": 100, "output_tokens": 10, "total_tokens": 110}})
        self.upstream = Upstream(self.serve)
        models = [{"id": "ears", "upstream": "whisper-1", "operations": ["transcribe"], "price": {"input": 1, "output": 2}},
                  {"id": "painter", "operations": ["image_edit"]}, {"id": "brush", "operations": ["image_generate"]}, {"id": "talker", "operations": ["chat"]}]
        self.host = Portolan(settings(provider(self.upstream.base, models=models), provider(self.upstream.base, name="other", models=models),
                                      routes=[{"name": "listen", "policy": "priority", "targets": ["up/ears", "other/ears"]}]))

    def tearDown(self):
        self.host.stop()
        self.upstream.close()
        self.assertEqual(self.upstream.failures, [])

    def serve(self, call):
        self.calls.append(call)
        self.reply(call)

    def send(self, path, *fields, headers=None):
        body, kind = form(*fields)
        return self.host.ask("POST", path, body, {"content-type": kind, **(headers or {})})

    def sound(self, model="ears", *more):
        return [("model", model), *more, ("file", self.SOUND, 'a "talk".wav', "audio/wav")]

    def test_a_recording_reaches_the_upstream_byte_for_byte_under_its_models_name(self):
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("language", "fr"), ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")))
        self.assertEqual((reply.status, reply.json["text"]), (200, "hello"), reply)
        self.assertEqual((reply.headers["x-portolan-tokens-in"], float(reply.headers["x-portolan-cost-usd"])), ("100", 0.00012))
        call = self.calls[0]
        self.assertEqual(call.path, "/v1/audio/transcriptions")
        fields = fields_of(call)
        self.assertEqual([(n, v) for n, _, _, v in fields[:4]],
                         [("model", b"whisper-1"), ("language", b"fr"), ("timestamp_granularities[]", b"word"), ("timestamp_granularities[]", b"segment")])
        self.assertEqual((fields[4][0], fields[4][2]), ("file", "audio/wav"))
        boundary = call.headers["content-type"].split("boundary=")[1].encode()
        self.assertIn(b"\r\n\r\n" + self.SOUND + b"\r\n--" + boundary + b"--\r\n", call.body)
        self.assertNotIn(b"bOUNdary", boundary)

    def test_subtitles_come_as_they_are(self):
        subtitles = b"1\n00:00:00,000 --> 00:00:01,000\nhello\n"
        self.reply = lambda call: call.reply(200, subtitles, "text/plain; charset=utf-8")
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("response_format", "srt")))
        self.assertEqual((reply.status, reply.headers["content-type"], reply.body), (200, "text/plain; charset=utf-8", subtitles))

    def test_a_translation_has_a_path_of_its_own(self):
        self.assertEqual(self.send("/v1/audio/translations", *self.sound()).json["text"], "hello")
        self.assertEqual(self.send("/v1/providers/other/audio/translations", *self.sound()).status, 200)
        self.assertEqual([c.path for c in self.calls], ["/v1/audio/translations"] * 2)

    def test_the_next_candidate_gets_the_whole_recording_again(self):
        replies = iter([lambda call: call.reply(500, {"error": {"message": "down"}}), self.reply])
        self.reply = lambda call: next(replies)(call)
        reply = self.send("/v1/audio/transcriptions", *self.sound("listen"))
        self.assertEqual((reply.status, len(self.calls)), (200, 2))
        self.assertTrue(all(self.SOUND in c.body for c in self.calls))

    @staticmethod
    def stream_of(call, *events):
        call.start()
        for event in events:
            call.event(event)
        call.end()

    def streaming(self, *events):
        self.reply = lambda call: self.stream_of(call, *events)

    TRANSCRIPT = ({"type": "transcript.text.delta", "delta": "hel"}, {"type": "transcript.text.delta", "delta": "lo"},
                  {"type": "transcript.text.done", "text": "hello", "usage": {"type": "tokens", "input_tokens": 100, "output_tokens": 10, "total_tokens": 110}})

    def test_a_transcripts_events_come_as_they_are_and_its_tokens_are_counted(self):
        self.streaming(*self.TRANSCRIPT)
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("stream", "true")))
        self.assertEqual((reply.status, reply.headers["content-type"].split(";")[0]), (200, "text/event-stream"))
        self.assertEqual(reply.body, b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in self.TRANSCRIPT))
        self.assertIn(("stream", b"true"), [(n, v) for n, _, _, v in fields_of(self.calls[0])])
        line = self.host.wait_for_line(r'"tokens_in":100,"tokens_out":10')
        self.assertIn('"cost_nusd":120000', line)

    def test_a_transcript_that_breaks_off_never_looks_finished(self):
        self.streaming(*self.TRANSCRIPT[:2])
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("stream", "true")))
        self.assertEqual([json.loads(e) for e in events_of(reply.body)][:2], list(self.TRANSCRIPT[:2]))
        self.assertIn("error", json.loads(events_of(reply.body)[-1]))

    def test_an_error_before_any_text_leaves_the_stream_to_the_next_candidate(self):
        broken = [{"error": {"message": "down", "type": "server_error"}}]
        scripts = iter([broken, self.TRANSCRIPT])
        self.reply = lambda call: self.stream_of(call, *next(scripts))
        got = self.send("/v1/audio/transcriptions", *self.sound("listen", ("stream", "true")))
        self.assertEqual((len(self.calls), [json.loads(e) for e in events_of(got.body)]), (2, list(self.TRANSCRIPT)))

    def test_a_model_that_does_not_stream_answers_with_the_last_event(self):
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("stream", "true")))
        self.assertEqual(json.loads(events_of(reply.body)[0]), {"type": "transcript.text.done", "text": "hello", "usage": {"type": "tokens", "input_tokens": 100, "output_tokens": 10, "total_tokens": 110}})
        self.reply = lambda call: call.reply(200, b"hello\n", "text/plain")
        reply = self.send("/v1/audio/transcriptions", *self.sound("ears", ("stream", "true"), ("response_format", "text")))
        self.assertEqual(json.loads(events_of(reply.body)[0]), {"type": "transcript.text.done", "text": "hello\n"})

    def test_pictures_come_as_they_are_made(self):
        edits = [("image", b"\x89PNG1", "1.png", "image/png"), ("model", "painter"), ("prompt", "a hat"), ("stream", "true"), ("partial_images", "1")]
        for path, kind, ask in (("/v1/images/edits", "image_edit", lambda: self.send("/v1/images/edits", *edits)),
                                ("/v1/images/generations", "image_generation", lambda: self.host.ask("POST", "/v1/images/generations", {"model": "brush", "prompt": "a hat", "stream": True}))):
            events = [{"type": kind + ".partial_image", "b64_json": "A" * 200_000, "partial_image_index": 0}, {"type": kind + ".completed", "b64_json": "AAAA", "usage": {"input_tokens": 5, "output_tokens": 6}}]
            self.streaming(*events)
            self.assertEqual([json.loads(e) for e in events_of(ask().body)], events, path)
            self.reply = lambda call: call.reply(200, {"created": 7, "data": [{"b64_json": "AA=="}], "size": "1x1"})
            self.assertEqual([json.loads(e) for e in events_of(ask().body)], [{"type": kind + ".completed", "b64_json": "AA==", "created_at": 7, "size": "1x1"}])

    def test_pictures_are_edited_with_all_that_came(self):
        self.reply = lambda call: call.reply(200, {"created": 1, "data": [{"b64_json": "AA=="}]})
        reply = self.send("/v1/images/edits", ("image[]", b"\x89PNG1", "1.png", "image/png"), ("image[]", b"\x89PNG2", "2.png", "image/png"),
                          ("mask", b"\x89MASK", "m.png", "image/png"), ("model", "painter"), ("prompt", "a hat"), ("n", "1"))
        self.assertEqual(reply.json["data"], [{"b64_json": "AA=="}])
        self.assertEqual(self.calls[0].path, "/v1/images/edits")
        self.assertEqual([(n, f, v) for n, f, _, v in fields_of(self.calls[0])],
                         [("image[]", "1.png", b"\x89PNG1"), ("image[]", "2.png", b"\x89PNG2"), ("mask", "m.png", b"\x89MASK"),
                          ("model", None, b"painter"), ("prompt", None, b"a hat"), ("n", None, b"1")])

    def test_files_stay_with_the_host_where_the_plugin_has_a_process_of_its_own(self):
        isolated = settings(provider(self.upstream.base, models=[{"id": "ears", "operations": ["transcribe"]}]),
                            plugins={"isolation": {"openai_compatible.so": "process"}})
        body, kind = form(*self.sound("ears", ("language", "fr")))
        with Portolan(isolated) as host:
            reply = host.ask("POST", "/v1/audio/transcriptions", body, {"content-type": kind})
        self.assertEqual((reply.status, reply.json["text"]), (200, "hello"), reply)
        self.assertEqual([n for n, _, _, _ in fields_of(self.calls[0])], ["model", "language", "file"])
        self.assertIn(self.SOUND, self.calls[0].body)

    def test_what_is_wrong_with_a_form_is_said_and_nothing_is_sent(self):
        cases = [(self.send("/v1/audio/transcriptions", ("model", "ears")), 400, "file"),
                 (self.send("/v1/audio/transcriptions", ("file", b"x", "f", "audio/wav")), 400, "model"),
                 (self.send("/v1/audio/translations", *self.sound("ears", ("stream", "true"))), 400, "stream"),
                 (self.send("/v1/audio/transcriptions", *self.sound("talker")), 422, None),
                 (self.host.ask("POST", "/v1/audio/transcriptions", {"model": "ears"}), 415, None),
                 (self.host.ask("POST", "/v1/audio/transcriptions", form(*self.sound())[0][:-20], {"content-type": form()[1]}), 400, None)]
        for reply, status, param in cases:
            self.assertEqual(reply.status, status, reply)
            if param:
                self.assertEqual(reply.json["error"]["param"], param)
        self.assertEqual(self.calls, [])


if __name__ == "__main__":
    if not (RECORDINGS / "INDEX.tsv").exists():
        print(f"SKIPPED: no recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
