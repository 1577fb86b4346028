"""The official OpenAI library for Python, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment."""

import os

import judge
import openai

CLIENT = openai.OpenAI(base_url=os.environ["PORTOLAN_BASE"], api_key="sk-anything", timeout=30)


def ask(case):
    reply = CLIENT.chat.completions.create(model=case["model"], messages=[{"role": "user", "content": "hi"}], stream=case["stream"])
    if not case["stream"]:
        return reply.choices[0].message.content
    return "".join((chunk.choices[0].delta.content or "") if chunk.choices else "" for chunk in reply)


judge.run(ask, openai.APIError, openai.AuthenticationError)
