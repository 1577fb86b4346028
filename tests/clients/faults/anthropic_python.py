"""The official Anthropic library for Python, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment."""

import os

import anthropic
import judge

CLIENT = anthropic.Anthropic(base_url=os.environ["PORTOLAN_BASE"].removesuffix("/v1"), api_key="sk-anything", timeout=30)


def ask(case):
    question = {"model": case["model"], "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    if not case["stream"]:
        return CLIENT.messages.create(**question).content[0].text
    return "".join(e.delta.text for e in CLIENT.messages.create(**question, stream=True) if e.type == "content_block_delta")


judge.run(ask, anthropic.APIError, anthropic.AuthenticationError)
