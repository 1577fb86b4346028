"""The official Anthropic library for Python in front of upstreams of every other dialect."""

import json
import unittest

import anthropic
from common import CITY, DEGREES, END, ROOT, upstreams

client = anthropic.Anthropic(base_url=ROOT, api_key="sk-anything", max_retries=0, timeout=30)
TOOL = {"name": "get_weather", "description": "Weather of a city", "input_schema": CITY}
ANSWER = {"type": "object", "properties": {"city": {"type": "string"}, "population": {"type": "integer"}}, "required": ["city", "population"], "additionalProperties": False}


def ask(model, streamed=False, messages=None, **more):
    body = {"model": model, "max_tokens": 200, "messages": messages or [{"role": "user", "content": "weather?"}], **more}
    if not streamed:
        return client.messages.create(**body)
    with client.messages.stream(**body) as stream:
        return stream.get_final_message()


class Messages(unittest.TestCase):
    def test_whole_answers_and_streams(self):
        for up in upstreams("messages"):
            with self.subTest(up):
                whole = ask(f"{up}/hello")
                self.assertEqual((whole.content[0].text, whole.usage.input_tokens, whole.usage.output_tokens), ("hello from upstream", 11, 7))
                streamed = ask(f"{up}/reasoning", streamed=True)
                self.assertEqual([b.type for b in streamed.content if b.type in ("thinking", "text")], ["thinking", "text"])
                self.assertEqual((streamed.content[0].thinking, streamed.stop_reason, streamed.usage.output_tokens), ("hm, well", "end_turn", 7))

    def test_a_tool_conversation_to_its_end(self):
        for up in upstreams("messages"):
            for streamed in (False, True):
                with self.subTest(up, streamed=streamed):
                    messages = [{"role": "user", "content": "weather?"}]
                    for _ in range(4):
                        message = ask(f"{up}/tools", streamed, messages, tools=[TOOL])
                        if message.stop_reason == "end_turn":
                            break
                        messages.append({"role": "assistant", "content": message.content})
                        messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": b.id, "content": [{"type": "text", "text": DEGREES[b.input["city"]]}]}
                                                                     for b in message.content if b.type == "tool_use"]})
                    self.assertEqual(message.content[0].text, END)

    def test_structured_output(self):
        for up in upstreams("messages"):
            with self.subTest(up):
                message = ask(f"{up}/json", output_config={"format": {"type": "json_schema", "schema": ANSWER}})
                self.assertEqual(json.loads(message.content[0].text), {"city": "Paris", "population": 2})

    def test_errors_are_the_librarys_own_classes(self):
        for up in upstreams("messages"):
            for kind, error in (("bad", anthropic.BadRequestError), ("busy", anthropic.RateLimitError), ("down", anthropic.InternalServerError)):
                with self.subTest(up, kind=kind), self.assertRaises(error):
                    ask(f"{up}-{kind}/{kind}")
            with self.subTest(up, kind="broken"), self.assertRaises(anthropic.APIError):
                ask(f"{up}-broken/broken", streamed=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
