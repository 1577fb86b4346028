"""The official OpenAI library for Python, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment."""

import concurrent.futures
import json
import os
import unittest

import openai

CLIENT = openai.OpenAI(base_url=os.environ["PORTOLAN_BASE"], api_key="sk-anything", timeout=30)
HELLO = "Hello from faultd"


def ask(case):
    """The text of the answer, or the error that was raised."""
    try:
        reply = CLIENT.chat.completions.create(model=case["model"], messages=[{"role": "user", "content": "hi"}], stream=case["stream"])
        if not case["stream"]:
            return reply.choices[0].message.content
        return "".join((chunk.choices[0].delta.content or "") if chunk.choices else "" for chunk in reply)
    except Exception as error:
        return error


class Faults(unittest.TestCase):
    def test_every_fault(self):
        cases = json.loads(os.environ["FAULT_CASES"])
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for case, got in zip(cases, pool.map(ask, cases)):
                with self.subTest(case["name"]):
                    if case["answers"]:
                        self.assertEqual(got, HELLO)
                    else:
                        self.assertIsInstance(got, openai.APIError)
                        self.assertNotIsInstance(got, openai.AuthenticationError)
                        self.assertGreater(len(str(got)), 5)


if __name__ == "__main__":
    unittest.main()
