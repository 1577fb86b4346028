"""The official Anthropic library for Python against Portolan, in front of an upstream that speaks OpenAI. run.py sets PORTOLAN_BASE."""

import os
import unittest

import anthropic

client = anthropic.Anthropic(base_url=os.environ["PORTOLAN_BASE"].removesuffix("/v1"), api_key="sk-anything", max_retries=0, timeout=30)
WEATHER = {"name": "get_weather", "description": "Weather of a city", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


def ask(model, content="hello from upstream", **more):
    return client.messages.create(model=model, max_tokens=200, messages=[{"role": "user", "content": content}], **more)


class Messages(unittest.TestCase):
    def test_a_whole_answer(self):
        message = ask("up/plain")
        self.assertEqual((message.content[0].text, message.stop_reason), ("hello from upstream", "end_turn"))
        self.assertEqual((message.usage.input_tokens, message.usage.output_tokens), (3, 2))

    def test_the_accumulating_stream_accepts_every_event(self):
        for model in ("up/plain", "up/reasoning", "echo/echo"):
            with client.messages.stream(model=model, max_tokens=200, messages=[{"role": "user", "content": "hello from upstream"}]) as stream:
                text = "".join(stream.text_stream)
                message = stream.get_final_message()
            self.assertTrue(text)
            self.assertEqual(message.stop_reason, "end_turn")

    def test_a_conversation_with_a_tool_to_its_end(self):
        messages = [{"role": "user", "content": "weather?"}]
        first = client.messages.create(model="up/tools", max_tokens=200, messages=messages, tools=[WEATHER])
        self.assertEqual(first.stop_reason, "tool_use")
        call = next(b for b in first.content if b.type == "tool_use")
        self.assertEqual((call.name, call.input), ("get_weather", {"city": "Paris"}))
        messages += [{"role": "assistant", "content": first.content},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18 degrees"}]}]}]
        second = client.messages.create(model="up/tools", max_tokens=200, messages=messages, tools=[WEATHER])
        self.assertIn("The tool said: 18 degrees", second.content[0].text)

    def test_errors_are_the_librarys_own_classes(self):
        for model, error in (("bad/bad", anthropic.BadRequestError), ("busy/busy", anthropic.RateLimitError), ("no-such-model", anthropic.NotFoundError)):
            with self.assertRaises(error):
                ask(model)
        with self.assertRaises(anthropic.APIError):
            with client.messages.stream(model="broken/broken", max_tokens=200, messages=[{"role": "user", "content": "x"}]) as stream:
                stream.get_final_message()


if __name__ == "__main__":
    unittest.main(verbosity=2)
