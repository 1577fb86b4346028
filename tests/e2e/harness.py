"""What the end-to-end tests stand on: the real binary as a process, a scripted upstream in threads, and HTTP by hand. Standard library only."""

import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PORTOLAN_BUILD", ROOT / "build" / "release"))
BINARY = BUILD / "bin" / "portolan"
SHARED = pathlib.Path(os.environ.get("PORTOLAN_SHARED", ROOT.parent / "shared"))
# Sanitizer builds are slower: what is measured in time gets that much more of it.
SLOWNESS = {"asan": 4, "tsan": 8}.get(BUILD.name, 1)
SKIPPED = 77


def run_tests():
    """Runs the calling file's tests; a missing binary is a skip that ctest reports as such."""
    if not BINARY.exists():
        print(f"SKIPPED: {BINARY} is not built")
        sys.exit(SKIPPED)
    unittest.main(verbosity=2)


def wait_until(condition, seconds=5.0, what="the condition"):
    """Polls; for states of another process that announce themselves in no other way."""
    end = time.monotonic() + seconds * SLOWNESS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come about in {seconds * SLOWNESS} s")


class Portolan:
    """`portolan serve` on a free loopback port. config: a dict (YAML reads JSON), None for no file at all."""

    def __init__(self, config=None, env=None, arguments=(), expect_start=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="portolan-e2e-"))
        self.config_path = self.folder / "portolan.yaml"
        self.lines = []
        self._listening = threading.Event()
        self.port = None
        environment = {k: v for k, v in os.environ.items() if not k.upper().endswith(("_API_KEY", "_PROXY")) and k not in ("HOST", "PORT")}
        environment.update({"PORT": "0", "PORTOLAN_SERVER__DATA_DIR": str(self.folder / "data")})
        environment.update(env or {})
        command = [str(BINARY), "serve"]
        if config is not None:
            self.write_config(config)
            command += ["--config", str(self.config_path)]
        self.process = subprocess.Popen(command + list(arguments), cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read_output, daemon=True)
        self._reader.start()
        if expect_start:
            end = time.monotonic() + 20 * SLOWNESS
            while not self._listening.wait(0.02):
                if self.process.poll() is not None or time.monotonic() > end:
                    self.kill()
                    raise AssertionError("the binary did not start listening:\n" + self.output())

    def write_config(self, config):
        text = config if isinstance(config, str) else json.dumps(config, indent=1)
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config_path)

    def _read_output(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            match = re.search(r"listening on https?://[^\s:]+:(\d+)", line)
            if match and self.port is None:
                self.port = int(match.group(1))
                self._listening.set()

    def output(self):
        return "\n".join(self.lines)

    def wait_for_line(self, pattern, seconds=5.0):
        return wait_until(lambda: next((x for x in list(self.lines) if re.search(pattern, x)), None), seconds, f"a line like {pattern!r} in\n{self.output()}\n")

    def wait_for_metric(self, pattern, seconds=5.0):
        """A request is counted when its answer is sent: whoever asks at once may come before that."""
        return wait_until(lambda: re.search(pattern, self.get("/metrics").body.decode()), seconds, f"a metric like {pattern!r}")

    def signal(self, number):
        self.process.send_signal(number)

    def exit_code(self, seconds=15.0):
        code = self.process.wait(seconds * SLOWNESS)
        self._reader.join(2)
        return code

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            return self.exit_code()
        finally:
            self._clear()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._clear()

    def _clear(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.output()[-6000:], file=sys.stderr)
            self.kill()
        elif self.process.poll() is None:
            self.stop()
        else:
            self._clear()

    # --- talking to it ---

    def ask(self, method, path, body=None, headers=None, timeout=20):
        """One whole exchange on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOWNESS)
        try:
            head = dict(headers or {})
            if isinstance(body, (dict, list)):
                body = json.dumps(body).encode()
            if body is not None:
                head.setdefault("content-type", "application/json")
            connection.request(method, path, body=body, headers=head)
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def chat(self, body, **more):
        return self.ask("POST", "/v1/chat/completions", body, **more)

    def stream(self, body, headers=None, receive_buffer=None):
        return Stream(self.port, body, headers, receive_buffer)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:600]!r}"


class Stream:
    """A streamed chat on a raw socket: what arrives, byte for byte, and whether it ended as HTTP says it must."""

    def __init__(self, port, body, headers=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20 * SLOWNESS)
        self.socket.connect(("127.0.0.1", port))
        payload = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: {len(payload)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self.socket.sendall(head.encode() + b"\r\n" + payload)
        self._kept = b""
        self.status = None
        self.headers = {}
        self.complete = False  # the terminating chunk, or all of content-length, came
        self._chunked = True
        self._left = None

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self._kept += data
        return bool(data)

    def head(self):
        if self.status is None:
            while b"\r\n\r\n" not in self._kept:
                if not self._more():
                    raise AssertionError(f"no reply: {self._kept!r}")
            raw, self._kept = self._kept.split(b"\r\n\r\n", 1)
            lines = raw.decode("latin-1").split("\r\n")
            self.status = int(lines[0].split()[1])
            self.headers = {k.strip().lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
            self._chunked = self.headers.get("transfer-encoding") == "chunked"
            self._left = None if self._chunked else int(self.headers.get("content-length", 0))
        return self.status

    def read(self):
        """The next piece of the body, b"" at the end (see complete)."""
        self.head()
        if self.complete:
            return b""
        if not self._chunked:
            if self._left == 0:
                self.complete = True
                return b""
            if not self._kept and not self._more():
                return b""
            piece, self._kept = self._kept[:self._left], self._kept[self._left:]
            self._left -= len(piece)
            return piece
        while b"\r\n" not in self._kept:
            if not self._more():
                return b""
        size, rest = self._kept.split(b"\r\n", 1)
        length = int(size.split(b";")[0], 16)
        while len(rest) < length + 2:
            if not self._more():
                return b""
            rest = self._kept.split(b"\r\n", 1)[1]
        self._kept = rest[length + 2:]
        if length == 0:
            self.complete = True
        return rest[:length]

    def read_all(self):
        out = b""
        while piece := self.read():
            out += piece
        return out

    def read_until(self, mark):
        """Reads on until mark was seen; what was read."""
        out = b""
        while mark not in out:
            piece = self.read()
            if not piece:
                raise AssertionError(f"the stream ended before {mark!r}: {out!r}")
            out += piece
        return out

    def close(self, reset=False):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def events_of(body):
    """Data of each SSE event as text; comments and other fields are left out."""
    out = []
    for block in re.split(r"\r?\n\r?\n", body.decode()):
        data = [x[5:].removeprefix(" ") for x in block.splitlines() if x.startswith("data:")]
        if data:
            out.append("\n".join(data))
    return out


def text_of(body):
    """Content deltas of choice 0 put together."""
    out = ""
    for data in events_of(body):
        if data != "[DONE]":
            for choice in json.loads(data).get("choices") or []:
                if choice.get("index", 0) == 0:
                    out += (choice.get("delta") or {}).get("content") or ""
    return out


class Call:
    """One request that reached the upstream, and the means to answer it in any way, well or badly."""

    def __init__(self, connection, method, path, headers, body):
        self.connection, self.method, self.path, self.headers, self.body = connection, method, path, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def send(self, data):
        self.connection.sendall(data)

    def reply(self, status, body, content_type="application/json", headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body, ensure_ascii=False).encode()
        lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}", f"content-length: {len(body)}"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def start(self, content_type="text/event-stream", headers=None):
        lines = ["HTTP/1.1 200 OK", f"content-type: {content_type}", "transfer-encoding: chunked"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")

    def chunk(self, data):
        self.send(b"%x\r\n" % len(data) + data + b"\r\n")

    def in_pieces(self, content_type, pieces):
        """A whole answer, each piece a chunk of its own."""
        self.start(content_type)
        for piece in pieces:
            self.chunk(piece)
        self.end()

    def event(self, value):
        self.chunk(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")

    def end(self):
        self.send(b"0\r\n\r\n")

    def cut(self, reset=True):
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def wait_gone(self, seconds=5.0):
        """Waits until the other side closes; the time of it, None if it did not."""
        end = time.monotonic() + seconds * SLOWNESS
        while (left := end - time.monotonic()) > 0:
            if select.select([self.connection], [], [], left)[0]:
                try:
                    if self.connection.recv(4096, socket.MSG_DONTWAIT) == b"":
                        return time.monotonic()
                except BlockingIOError:
                    continue
                except OSError:
                    return time.monotonic()
        return None


class Upstream:
    """An HTTP server on loopback whose handler(call) decides everything. It keeps connections alive until the handler closes them.
    Questions for models, which the host asks on its own, have none as their answer, unless `lists`: then they are calls like others."""

    def __init__(self, handler, send_buffer=None, lists=False):
        self.handler, self.send_buffer, self.lists = handler, send_buffer, lists
        self.calls = 0
        self.connections = 0
        self.failures = []
        self._open = set()
        self._lock = threading.Lock()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if send_buffer:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        kept = b""
        try:
            while True:
                while b"\r\n\r\n" not in kept:
                    data = connection.recv(65536)
                    if not data:
                        return
                    kept += data
                head, kept = kept.split(b"\r\n\r\n", 1)
                lines = head.decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {k.strip().lower(): v.strip() for k, v in (x.split(":", 1) for x in lines[1:])}
                length = int(headers.get("content-length", 0))
                while len(kept) < length:
                    data = connection.recv(65536)
                    if not data:
                        return
                    kept += data
                body, kept = kept[:length], kept[length:]
                if not self.lists and method == "GET" and path.split("?")[0].endswith(("/models", "/api/tags", "/foundation-models", "/inference-profiles")):
                    Call(connection, method, path, headers, body).reply(404, {"error": {"message": "no list here"}})
                    continue
                with self._lock:
                    self.calls += 1
                self.handler(Call(connection, method, path, headers, body))
                if connection.fileno() < 0:
                    return
        except (BrokenPipeError, ConnectionResetError, OSError):
            pass
        except Exception as error:  # a failed assertion in a handler must reach the test
            self.failures.append(repr(error))
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def close(self):
        self.listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def free_port():
    """A loopback port that nobody listens on, for now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def provider(base_url, name="up", **more):
    """A configuration entry for an OpenAI-compatible upstream that takes any model name unless told otherwise."""
    return {"name": name, "type": "openai-compatible", "base_url": base_url, "api_key": "sk-test-upstream", **{"models": "any", **more}}


def settings(*providers, **more):
    """A configuration with these providers, open on loopback."""
    return {"auth": {"mode": "off"}, "providers": list(providers), **more}


def ask_for(model, text="hello", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def delta(content=None, finish=None, **more):
    """An OpenAI chat chunk."""
    change = {"content": content} if content is not None else {}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", **more,
            "choices": [{"index": 0, "delta": change, "finish_reason": finish}]}


def answer(content="hello there", finish="stop"):
    """An OpenAI chat completion."""
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
