"""The official OpenAI library for Python against Portolan. Expects PORTOLAN_BASE and UPSTREAM_GONE; run.py sets them."""

import json
import os
import time
import unittest
import urllib.request

import openai
from openai import OpenAI

client = OpenAI(base_url=os.environ["PORTOLAN_BASE"], api_key="sk-anything", max_retries=0, timeout=30)
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}}}


def user(content):
    return [{"role": "user", "content": content}]


def create(model, content="hello from upstream", **more):
    return client.chat.completions.create(model=model, messages=user(content), **more)


class Chat(unittest.TestCase):
    def test_a_whole_answer_has_role_finish_usage_and_request_id(self):
        reply = create("up/plain")
        self.assertEqual(reply.choices[0].message.content, "hello from upstream")
        self.assertEqual((reply.choices[0].message.role, reply.choices[0].finish_reason), ("assistant", "stop"))
        self.assertEqual(reply.usage.total_tokens, 5)
        self.assertTrue(reply._request_id)

    def test_echo_repeats_the_last_user_text(self):
        self.assertIn("one two three", create("auto", "one two three").choices[0].message.content)

    def test_chunks_add_up_with_one_finish_and_no_usage_unasked(self):
        for model in ("up/plain", "echo/echo"):
            text, finishes = "", 0
            for chunk in create(model, stream=True):
                self.assertIsNone(chunk.usage)
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                finishes += bool(chunk.choices and chunk.choices[0].finish_reason)
            self.assertIn("hello from upstream", text)
            self.assertEqual(finishes, 1)

    def test_usage_comes_last_when_asked_for(self):
        for model in ("up/plain", "echo/echo"):
            last = list(create(model, stream=True, stream_options={"include_usage": True}))[-1]
            self.assertEqual(last.choices, [])
            self.assertGreater(last.usage.total_tokens, 0)

    def test_a_tool_call_and_its_result(self):
        messages = user("weather in Paris?")
        first = client.chat.completions.create(model="up/tools", messages=messages, tools=[WEATHER])
        call = first.choices[0].message.tool_calls[0]
        self.assertEqual(json.loads(call.function.arguments), {"city": "Paris"})
        messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        second = client.chat.completions.create(model="up/tools", messages=messages, tools=[WEATHER])
        self.assertEqual(second.choices[0].message.content, "The tool said: sunny")

    def test_a_streamed_tool_call_keeps_its_index_and_id(self):
        name, arguments, ids = "", "", set()
        for chunk in client.chat.completions.create(model="up/tools", messages=user("weather?"), tools=[WEATHER], stream=True):
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                self.assertEqual(call.index, 0)
                ids.add(call.id) if call.id else None
                name += call.function.name or ""
                arguments += call.function.arguments or ""
        self.assertEqual((name, json.loads(arguments), len(ids)), ("get_weather", {"city": "Paris"}, 1))

    def test_json_mode(self):
        reply = create("up/json", response_format={"type": "json_object"})
        self.assertEqual(json.loads(reply.choices[0].message.content)["city"], "Paris")

    def test_image_parts_reach_the_upstream(self):
        reply = create("up/vision", [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}])
        self.assertTrue(reply.choices[0].message.content.startswith("an image of data:image/png;base64"))

    def test_models_are_listed_and_retrieved(self):
        self.assertIn("auto", [m.id for m in client.models.list()])
        self.assertEqual(client.models.retrieve("auto").id, "auto")


class Errors(unittest.TestCase):
    def test_each_has_its_class_message_and_code(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            create("there-is-none")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError) as caught:
            create("bad/bad", temperature=9)
        self.assertIn("temperature", caught.exception.message)
        with self.assertRaises(openai.RateLimitError) as caught:
            create("busy/busy")
        self.assertIn("retry-after", caught.exception.response.headers)

    def test_a_stream_that_broke_raises(self):
        text = ""
        with self.assertRaises(Exception):
            for chunk in create("broken/broken", stream=True):
                text += chunk.choices[0].delta.content or ""
        self.assertEqual(text, "half of ")

    def test_leaving_a_stream_ends_the_upstream_call(self):
        stream = create("up/endless", stream=True)
        for chunk in stream:
            if chunk.choices[0].delta.content == "first":
                break
        stream.close()
        for _ in range(100):
            with urllib.request.urlopen(os.environ["UPSTREAM_GONE"]) as reply:
                gone = json.load(reply)["gone"]
            if gone:
                self.assertTrue(gone[0])
                return
            time.sleep(0.05)
        self.fail("the upstream call went on")


if __name__ == "__main__":
    unittest.main(verbosity=2)
