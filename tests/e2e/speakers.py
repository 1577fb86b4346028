"""A host before one upstream of each dialect, which answers "ok" and shows what it was asked."""

import pathlib
import sys
import unittest

from harness import Portolan, Upstream, settings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients" / "cross"))
from upstreams import SPEAKERS, Said  # noqa: E402

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


class BeforeSpeakers(unittest.TestCase):
    NAMES = tuple(SPEAKERS)

    @classmethod
    def setUpClass(cls):
        cls.upstreams, entries, cls.asked = [], [], {}
        for name in cls.NAMES:
            speaker = SPEAKERS[name]()
            reply = speaker.whole(Said("ok"))

            def behave(call, name=name, reply=reply):
                cls.note(name, call)
                call.reply(200, reply)

            upstream = Upstream(behave)
            cls.upstreams.append(upstream)
            entries.append(speaker.entry(name, upstream.base.removesuffix("/v1"), "any"))
        cls.host = Portolan(settings(*entries))

    @classmethod
    def tearDownClass(cls):
        cls.host.stop()
        for upstream in cls.upstreams:
            upstream.close()

    def ask_model(self, dialect, model, body):
        if dialect == "gemini":
            return self.host.ask("POST", f"/v1beta/models/{model.replace('/', '%2F')}:generateContent", body)
        return self.host.ask("POST", PATHS[dialect], {**body, "model": model})
