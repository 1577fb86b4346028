"""The official Anthropic library for Python, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment."""

import concurrent.futures
import json
import os
import unittest

import anthropic

CLIENT = anthropic.Anthropic(base_url=os.environ["PORTOLAN_BASE"].removesuffix("/v1"), api_key="sk-anything", timeout=30)
HELLO = "Hello from faultd"


def ask(case):
    """The text of the answer, or the error that was raised."""
    question = {"model": case["model"], "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    try:
        if not case["stream"]:
            return CLIENT.messages.create(**question).content[0].text
        return "".join(e.delta.text for e in CLIENT.messages.create(**question, stream=True) if e.type == "content_block_delta")
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
                        self.assertIsInstance(got, anthropic.APIError)
                        self.assertNotIsInstance(got, anthropic.AuthenticationError)
                        self.assertGreater(len(str(got)), 5)


if __name__ == "__main__":
    unittest.main()
