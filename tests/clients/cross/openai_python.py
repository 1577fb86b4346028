"""The official OpenAI library for Python, chat and responses, in front of upstreams of every other dialect."""

import json
import unittest

import openai
import pydantic
from common import BASE, CITY, DEGREES, END, upstreams

client = openai.OpenAI(base_url=BASE, api_key="sk-anything", max_retries=0, timeout=30)
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "description": "Weather of a city", "parameters": CITY, "strict": True}}
TOOL = {"type": "function", "name": "get_weather", "parameters": CITY, "strict": True}


class Place(pydantic.BaseModel):
    city: str
    population: int


class Chat(unittest.TestCase):
    def test_whole_answers_and_streams(self):
        for up in upstreams("chat"):
            with self.subTest(up):
                whole = client.chat.completions.create(model=f"{up}/hello", messages=[{"role": "user", "content": "hi"}])
                self.assertEqual((whole.choices[0].message.content, whole.usage.prompt_tokens, whole.usage.completion_tokens), ("hello from upstream", 11, 7))
                with client.chat.completions.stream(model=f"{up}/reasoning", messages=[{"role": "user", "content": "hi"}]) as stream:
                    final = stream.get_final_completion()
                self.assertEqual((final.choices[0].message.content, final.choices[0].finish_reason), ("hello from upstream", "stop"))

    def test_a_tool_conversation_to_its_end(self):
        for up in upstreams("chat"):
            for streamed in (False, True):
                with self.subTest(up, streamed=streamed):
                    messages = [{"role": "user", "content": "weather?"}]
                    for _ in range(4):
                        body = {"model": f"{up}/tools", "messages": messages, "tools": [CHAT_TOOL]}
                        if streamed:
                            with client.chat.completions.stream(**body) as stream:
                                choice = stream.get_final_completion().choices[0]
                        else:
                            choice = client.chat.completions.create(**body).choices[0]
                        if choice.finish_reason == "stop":
                            break
                        messages.append(choice.message.model_dump(exclude_none=True, exclude={"parsed"}))
                        for call in choice.message.tool_calls:
                            messages.append({"role": "tool", "tool_call_id": call.id, "content": DEGREES[json.loads(call.function.arguments)["city"]]})
                    self.assertEqual(choice.message.content, END)

    def test_structured_output_is_parsed(self):
        for up in upstreams("chat"):
            with self.subTest(up):
                reply = client.chat.completions.parse(model=f"{up}/json", messages=[{"role": "user", "content": "Paris"}], response_format=Place)
                self.assertEqual(reply.choices[0].message.parsed, Place(city="Paris", population=2))

    def test_errors_are_the_librarys_own_classes(self):
        for up in upstreams("chat"):
            for kind, error in (("bad", openai.BadRequestError), ("busy", openai.RateLimitError), ("down", openai.InternalServerError)):
                with self.subTest(up, kind=kind), self.assertRaises(error):
                    client.chat.completions.create(model=f"{up}-{kind}/{kind}", messages=[{"role": "user", "content": "x"}])
            with self.subTest(up, kind="broken"), self.assertRaises(openai.APIError):
                with client.chat.completions.stream(model=f"{up}-broken/broken", messages=[{"role": "user", "content": "x"}]) as stream:
                    stream.get_final_completion()


class Responses(unittest.TestCase):
    def test_a_tool_conversation_to_its_end(self):
        for up in upstreams("responses"):
            for streamed in (False, True):
                with self.subTest(up, streamed=streamed):
                    items = [{"role": "user", "content": "weather?"}]
                    for _ in range(4):
                        body = {"model": f"{up}/tools", "input": items, "tools": [TOOL], "store": False}
                        if streamed:
                            with client.responses.stream(**body) as stream:
                                response = stream.get_final_response()
                        else:
                            response = client.responses.create(**body)
                        calls = [i for i in response.output if i.type == "function_call"]
                        if not calls:
                            break
                        items += [i.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for i in response.output]
                        items += [{"type": "function_call_output", "call_id": c.call_id, "output": DEGREES[json.loads(c.arguments)["city"]]} for c in calls]
                    self.assertEqual(response.output_text, END)

    def test_structured_output_is_parsed(self):
        for up in upstreams("responses"):
            with self.subTest(up):
                self.assertEqual(client.responses.parse(model=f"{up}/json", input="Paris", text_format=Place).output_parsed, Place(city="Paris", population=2))

    def test_errors_are_the_librarys_own_classes(self):
        for up in upstreams("responses"):
            for kind, error in (("bad", openai.BadRequestError), ("busy", openai.RateLimitError), ("down", openai.InternalServerError)):
                with self.subTest(up, kind=kind), self.assertRaises(error):
                    client.responses.create(model=f"{up}-{kind}/{kind}", input="x")
            with self.subTest(up, kind="broken"), self.assertRaises((openai.APIError, RuntimeError)):  # the helper has an error of its own for no completion
                with client.responses.stream(model=f"{up}-broken/broken", input="x") as stream:
                    stream.get_final_response()


if __name__ == "__main__":
    unittest.main(verbosity=2)
