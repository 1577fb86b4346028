"""One member of a request at a time, from every client dialect to every provider: it changes what the upstream is asked, or it is refused, or it is told as
lost. Nothing goes in silence, on the way back neither."""

import collections
import json
import re
import unittest
from concurrent.futures import ThreadPoolExecutor

from harness import Portolan, Upstream, provider, run_tests, settings, wait_until
from speakers import PATHS, SPEAKERS, BeforeSpeakers

PDF, WAV, PNG = "JVBERi0=", "UklGRg==", "iVBORw0KGgo="
MODELS = {"chat": "gpt-4o", "messages": "claude-sonnet-4-5", "responses": "gpt-4o", "gemini": "gemini-2.5-flash", "converse": "anthropic.claude-sonnet-4-5", "cohere": "command-a",
          "ollama": "qwen3", "mistral": "mistral-large-latest"}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
CHAT_TOOL = {"type": "function", "function": FUNCTION}
MESSAGES_TOOL = {"name": "f", "description": "d", "input_schema": FUNCTION["parameters"]}
RESPONSES_TOOL = {"type": "function", **FUNCTION, "strict": False}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def say(*parts):
    return [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]


# name -> members of the request; what is there without the member stands under "" of the same group
CHAT = {
    "": {"messages": say()}, "frequency_penalty": {"frequency_penalty": 0.4}, "presence_penalty": {"presence_penalty": 0.3}, "seed": {"seed": 4711}, "logprobs": {"logprobs": True},
    "top_logprobs": {"logprobs": True, "top_logprobs": 3}, "logit_bias": {"logit_bias": {"50256": -17}}, "n": {"n": 2}, "service_tier": {"service_tier": "flex"},
    "stop": {"stop": ["END"]}, "temperature": {"temperature": 0.7}, "top_p": {"top_p": 0.9}, "max_tokens": {"max_tokens": 77}, "user": {"user": "u1"}, "metadata": {"metadata": {"k": "v"}},
    "reasoning_effort": {"reasoning_effort": "low"}, "json_object": {"response_format": {"type": "json_object"}},
    "json_schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}}, "verbosity": {"verbosity": "low"},
    "modalities": {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, "prediction": {"prediction": {"type": "content", "content": "x"}},
    "web_search_options": {"web_search_options": {}}, "prompt_cache_key": {"prompt_cache_key": "k"}, "safety_identifier": {"safety_identifier": "s"}, "store": {"store": True},
    "audio in": {"messages": say({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}})},
    "document": {"messages": say({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}})},
    "picture": {"messages": say({"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}})},
    "name": {"messages": [{"role": "user", "name": "bob", "content": "hi"}]}, "cache mark": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}]},
    "tools": {"tools": [CHAT_TOOL]}, "strict tool": {"tools": [{"type": "function", "function": {**FUNCTION, "parameters": SCHEMA, "strict": True}}]},
    "server tool": {"tools": [{"type": "web_search"}]}, "required": {"tools": [CHAT_TOOL], "tool_choice": "required"},
    "one at a time": {"tools": [CHAT_TOOL], "parallel_tool_calls": False}, "unheard of": {"frobnicate": 1},
}
MESSAGES = {
    "": {"max_tokens": 50, "messages": say()}, "top_k": {"top_k": 17}, "temperature": {"temperature": 0.7}, "top_p": {"top_p": 0.9}, "stop_sequences": {"stop_sequences": ["END"]},
    "metadata": {"metadata": {"user_id": "u1"}}, "service_tier": {"service_tier": "standard_only"}, "thinking": {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2048}},
    "effort": {"output_config": {"effort": "low"}}, "format": {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "container": {"container": "c1"},
    "context_management": {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "mcp_servers": {"mcp_servers": [{"type": "url", "url": "https://x.example", "name": "n"}]},
    "document": {"messages": say({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}})},
    "citations": {"messages": say({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "facts"}, "citations": {"enabled": True}})},
    "picture": {"messages": say({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})},
    "cache mark": {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]}]}, "tools": {"tools": [MESSAGES_TOOL]},
    "strict tool": {"tools": [{**MESSAGES_TOOL, "input_schema": SCHEMA, "strict": True}]}, "server tool": {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
    "any": {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "any"}}, "one at a time": {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
    "unheard of": {"frobnicate": 1},
}
RESPONSES = {
    "": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], "store": False}, "temperature": {"temperature": 0.7}, "top_p": {"top_p": 0.9}, "user": {"user": "u1"},
    "max_output_tokens": {"max_output_tokens": 77}, "logprobs": {"include": ["message.output_text.logprobs"]}, "top_logprobs": {"top_logprobs": 3}, "truncation": {"truncation": "auto"},
    "metadata": {"metadata": {"k": "v"}}, "service_tier": {"service_tier": "flex"}, "max_tool_calls": {"max_tool_calls": 3}, "verbosity": {"text": {"verbosity": "low"}},
    "prompt_cache_key": {"prompt_cache_key": "k"}, "safety_identifier": {"safety_identifier": "s"}, "reasoning": {"reasoning": {"effort": "low"}},
    "format": {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}}}, "instructions": {"instructions": "be brief"},
    "document": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64," + PDF}]}]},
    "file by id": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_file", "file_id": "file-1"}]}]},
    "audio in": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}]}]},
    "tools": {"tools": [RESPONSES_TOOL]}, "server tool": {"tools": [{"type": "web_search"}]}, "custom tool": {"tools": [{"type": "custom", "name": "c"}]},
    "required": {"tools": [RESPONSES_TOOL], "tool_choice": "required"}, "one at a time": {"tools": [RESPONSES_TOOL], "parallel_tool_calls": False}, "unheard of": {"frobnicate": 1},
}
GEMINI = {
    "": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, "topK": {"generationConfig": {"topK": 17}}, "temperature": {"generationConfig": {"temperature": 0.7}},
    "topP": {"generationConfig": {"topP": 0.9}}, "seed": {"generationConfig": {"seed": 4711}}, "candidateCount": {"generationConfig": {"candidateCount": 2}},
    "logprobs": {"generationConfig": {"responseLogprobs": True, "logprobs": 3}}, "presencePenalty": {"generationConfig": {"presencePenalty": 0.3}},
    "stopSequences": {"generationConfig": {"stopSequences": ["END"]}}, "thinking": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True}}},
    "modalities": {"generationConfig": {"responseModalities": ["AUDIO"]}}, "mediaResolution": {"generationConfig": {"mediaResolution": "MEDIA_RESOLUTION_LOW"}},
    "speechConfig": {"generationConfig": {"speechConfig": {"languageCode": "en-US"}}}, "schema": {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
    "safety": {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]}, "cachedContent": {"cachedContent": "cachedContents/1"}, "labels": {"labels": {"k": "v"}},
    "audio in": {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "audio/wav", "data": WAV}}]}]},
    "document": {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "application/pdf", "data": PDF}}]}]},
    "video": {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"fileData": {"fileUri": "https://x.example/a.mp4", "mimeType": "video/mp4"}}]}]},
    "search": {"tools": [{"googleSearch": {}}]}, "tools": {"tools": [{"functionDeclarations": [FUNCTION]}]},
    "any": {"tools": [{"functionDeclarations": [FUNCTION]}], "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "unheard of": {"frobnicate": 1},
}
DIALECTS = {"chat": CHAT, "messages": MESSAGES, "responses": RESPONSES, "gemini": GEMINI}
# What steers a provider's storage, caches and watch over users says nothing about the answer: no loss (docs/plugins/hub.md).
HINTS = {"store", "metadata", "user", "prompt_cache_key", "safety_identifier", "truncation"}


class Losses(BeforeSpeakers):
    @classmethod
    def note(cls, name, call):
        cls.asked[name] = call.json

    def ask(self, dialect, upstream, body):
        return self.ask_model(dialect, f"{upstream}/{MODELS[upstream]}", body)

    def silent(self, upstream):
        """Members that went nowhere on their way to this upstream; one upstream at a time, so that what it was asked is known."""
        for dialect, members in DIALECTS.items():
            if dialect == upstream:
                continue
            def asked(more):
                self.asked[upstream] = None
                reply = self.ask(dialect, upstream, {**members[""], **more})
                return reply, json.dumps(self.asked[upstream], sort_keys=True), reply.headers.get("x-portolan-dropped-params", "")

            reply, plain, lost = asked({})
            if reply.status != 200 or lost:
                yield f"{dialect} to {upstream}: the plain request: {reply.status} {lost} {reply.body[:200]}"
            if "tools" in members:
                _, with_tools, _ = asked(members["tools"])
            for name, more in members.items():
                if not name or name in HINTS:
                    continue
                before = with_tools if "tools" in more and name not in ("tools", "server tool", "search", "custom tool", "strict tool") else plain
                reply, changed, lost = asked(more)
                if reply.status in (400, 422) and json.loads(reply.body)["error"]["message"]:
                    continue
                if reply.status != 200:
                    yield f"{dialect} to {upstream}: {name}: {reply.status} {reply.body[:200]}"
                elif changed == before and not lost:
                    yield f"{dialect} to {upstream}: {name} is gone"

    def test_nothing_is_left_out_in_silence(self):
        with ThreadPoolExecutor(len(SPEAKERS)) as workers:
            wrong = [x for found in workers.map(lambda u: list(self.silent(u)), SPEAKERS) for x in found]
        self.assertFalse(wrong, f"\n{len(wrong)}\n" + "\n".join(wrong))
        self.assertEqual([f for u in self.upstreams for f in u.failures], [])

    def test_losses_are_counted_by_languages_and_field(self):
        before = self.ask("messages", "cohere", {**MESSAGES[""], **MESSAGES["container"]})
        self.assertEqual((before.status, before.headers["x-portolan-dropped-params"]), (200, "container"))
        self.host.wait_for_metric(r'portolan_translation_loss_total\{field="container",from="anthropic",to="cohere"\} \d')


PAGE = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "x", "start_index": 0, "end_index": 2}}
READ = {"type": "file", "file": {"hash": "h", "content": [{"type": "text", "text": "page"}]}}
LOGPROBS = {"content": [{"token": "hi", "logprob": -0.1, "bytes": [104, 105], "top_logprobs": []}], "refusal": None}
RICH = {"content": "hi", "annotations": [PAGE, READ], "audio": {"id": "a1", "data": WAV, "transcript": "hi", "expires_at": 1}, "citations": [{"type": "char_location"}],
        "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]}
PLAIN = {"content": "hi", "annotations": [], "audio": None, "images": [], "refusal": None, "citations": []}
# What an upstream says that not every client's dialect has a place for, and what each client is told is lost. The upstream's model is the name.
ANSWERS = {
    "rich": ({"choices": [{"index": 0, "message": {"role": "assistant", **RICH}, "logprobs": LOGPROBS, "finish_reason": "stop"},
                          {"index": 1, "message": {"role": "assistant", "content": "ho"}, "logprobs": None, "finish_reason": "stop"}], "search_results": [{"url": "https://x.example"}]},
             {"messages": {"annotations", "audio", "citations", "images", "logprobs", "search_results", "choices"},
              "responses": {"annotations", "audio", "citations", "images", "logprobs", "search_results", "choices"},
              "gemini": {"annotations", "audio", "citations", "images", "logprobs", "search_results"}}),
    "pages": ({"choices": [{"index": 0, "message": {"role": "assistant", **PLAIN, "annotations": [PAGE]}, "logprobs": None, "finish_reason": "stop"}]},
              {"messages": {"annotations"}, "responses": set(), "gemini": set()}),
    "plain": ({"choices": [{"index": 0, "message": {"role": "assistant", **PLAIN}, "logprobs": {"content": None}, "finish_reason": "stop"}], "search_results": [], "system_fingerprint": "f"},
              {"messages": set(), "responses": set(), "gemini": set()}),
}


class AnswerLosses(unittest.TestCase):
    """What an answer says and the client's language has no place for is counted; where the answer is whole its headers tell it."""

    @classmethod
    def setUpClass(cls):
        def behave(call):
            asked = call.json
            said = {"id": "c1", "object": "chat.completion", "created": 1, "model": asked["model"], **ANSWERS[asked["model"]][0]}
            if not asked.get("stream"):
                return call.reply(200, said)
            call.start()
            chunk = {**said, "object": "chat.completion.chunk", "choices": [{"index": c["index"], "delta": c["message"], "logprobs": c["logprobs"], "finish_reason": None} for c in said["choices"]]}
            call.event(chunk)
            call.event({**chunk, "choices": [{"index": c["index"], "delta": {}, "finish_reason": "stop"} for c in said["choices"]]})
            call.event(b"[DONE]")
            return call.end()

        cls.upstream = Upstream(behave)
        cls.host = Portolan(settings(provider(cls.upstream.base, name="up", models="any")))

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        cls.upstream.close()

    def ask(self, dialect, name, stream):
        return self.ask_at(self.host, dialect, name, stream)

    @staticmethod
    def ask_at(host, dialect, name, stream):
        body = DIALECTS[dialect][""]
        if dialect == "gemini":
            verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return host.ask("POST", f"/v1beta/models/up%2F{name}:{verb}", body)
        return host.ask("POST", PATHS[dialect], {**body, "model": "up/" + name, **({"stream": True} if stream else {})})

    def counted(self, dialect):
        own = {"messages": "anthropic", "chat": "openai"}.get(dialect, dialect)
        found = re.findall(r'portolan_translation_loss_total\{field="answer.(\w+)",from="%s",to="up"\} (\d+)' % own, self.host.get("/metrics").body.decode())
        return {field: int(count) for field, count in found}

    def test_each_is_told_where_the_answer_is_whole_and_counted_everywhere(self):
        counts = {dialect: collections.Counter() for dialect in DIALECTS}
        for name, (_, lost_by) in ANSWERS.items():
            for dialect, lost in {**lost_by, "chat": set()}.items():
                for stream in (False, True):
                    with self.subTest(name=name, dialect=dialect, stream=stream):
                        reply = self.ask(dialect, name, stream)
                        self.assertEqual(reply.status, 200, reply.body)
                        told = set(reply.headers.get("x-portolan-dropped-params", "").split(", ")) - {""}
                        self.assertEqual(told, set() if stream else {"answer." + field for field in lost})
                        counts[dialect].update(lost)
                        self.assertNotIn(b"upstream_bad_reply", reply.body)
                        wait_until(lambda d=dialect: self.counted(d) == counts[d], what=f"{dict(counts[dialect])} to be counted")

    def test_what_a_providers_own_tools_did_is_lost_to_every_other_dialect(self):
        searched = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}, {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}]
        ran = [{"executableCode": {"language": "PYTHON", "code": "1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}]
        answers = {
            "anthropic": ("messages", {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [*searched, {"type": "text", "text": "hi"}], "stop_reason": "end_turn",
                                       "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}, {"server_tool_use", "web_search_tool_result"}),
            "gemini": ("gemini", {"candidates": [{"content": {"role": "model", "parts": [*ran, {"text": "hi"}]}, "finishReason": "STOP"}]}, {"executable_code", "code_execution_result"}),
            "openai-responses": ("responses", {"id": "r", "object": "response", "status": "completed", "model": "m", "output": [
                {"type": "web_search_call", "id": "w", "status": "completed"}, {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi", "annotations": []}]}]},
                {"web_search_call"}),
            "bedrock": ("", {"output": {"message": {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "search", "type": "server_tool_use", "input": {}}}, {"text": "hi"}]}},
                             "stopReason": "end_turn"}, {"server_tool_use"}),
        }
        for kind, (own, answer, lost) in answers.items():
            with Upstream(lambda call, answer=answer: call.reply(200, answer)) as upstream:
                with Portolan(settings({"name": "up", "type": kind, "base_url": upstream.base, "api_key": "sk-test", "models": "any"})) as host:
                    for dialect in DIALECTS:
                        reply = self.ask_at(host, dialect, "claude-sonnet-4-5", False)
                        told = set(reply.headers.get("x-portolan-dropped-params", "").split(", ")) - {""}
                        with self.subTest(kind=kind, dialect=dialect):
                            self.assertEqual((reply.status, told), (200, set() if dialect == own else {"answer." + what for what in lost}))


if __name__ == "__main__":
    run_tests()
