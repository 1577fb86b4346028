"""The faulty upstream as a process: tests/support/faultd."""

import http.client
import json
import subprocess

from harness import BUILD

FAULTD = BUILD / "bin" / "faultd"


class Faultd:
    """ports["http"] answers as the header x-fault of each request says; the others fail on their own."""

    def __init__(self):
        self.process = subprocess.Popen([str(FAULTD)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())

    def base(self, port="http", scheme="http"):
        return f"{scheme}://127.0.0.1:{self.ports[port]}/v1"

    def own_base(self):
        """A port of its own: connections to it are shared with nobody."""
        return f"http://127.0.0.1:{self._get('listen')['port']}/v1"

    def seen(self, key):
        """{"calls", "connections", "gone"} of a key."""
        return self._get(f"seen?{key}")

    def _get(self, what):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=20)
        try:
            connection.request("GET", f"/faultd/{what}")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
