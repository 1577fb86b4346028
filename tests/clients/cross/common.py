"""What the Python scripts here share: where Portolan is, which upstreams stand behind it, and the tool that the conversations need."""

import os

BASE = os.environ["PORTOLAN_BASE"]  # ends in /v1
ROOT = BASE.removesuffix("/v1")
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
DEGREES = {"Paris": "18 degrees", "Rome": "25 degrees"}
END = "The tool said: 18 degrees, 25 degrees"


def upstreams(own):
    """Those that speak another dialect than the client."""
    return [u for u in os.environ["PORTOLAN_UPSTREAMS"].split(",") if u != own]
