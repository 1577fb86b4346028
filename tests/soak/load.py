"""What the load proofs stand on: an upstream and clients on asyncio. Standard library only, loopback only."""

import asyncio
import json
import resource
import time

CHUNK = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}\n\n'
WHOLE = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}).encode()


def more_descriptors():
    """As many as the machine allows: this process and its children are about to open thousands of sockets."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def chunk(delta, finish="null"):
    piece = CHUNK % (json.dumps(delta).encode(), finish.encode())
    return b"%x\r\n" % len(piece) + piece + b"\r\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM_END = chunk({}, '"stop"') + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


def reply(status, body):
    return b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


class Upstream:
    """answer(json, writer) is a coroutine that writes one reply; what it raises or leaves out ends the connection."""

    def __init__(self, answer):
        self.answer, self.calls, self.running = answer, [], 0  # calls: (time, how many ran then, this one included)

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.base = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(x.split(b":")[1]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:"))
                body = json.loads(await reader.readexactly(length))
                self.running += 1
                self.calls.append((time.monotonic(), self.running))
                try:
                    await self.answer(body, writer)
                    await writer.drain()
                finally:
                    self.running -= 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


def request(model, stream=False, path="/v1/chat/completions", **more):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream, **more}).encode()
    return b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(body)) + body


class Client:
    """One connection, kept as long as it holds."""

    def __init__(self, port):
        self.port, self.writer = port, None

    async def ask(self, raw):
        """(status, body); status 0: the connection ended before its end."""
        if self.writer and self.reader.at_eof():
            self.close()  # the server closes what was idle for a minute
        try:
            if not self.writer:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
            self.writer.write(raw)
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            body = b""
            if b"transfer-encoding: chunked" in lines:
                while size := int(await self.reader.readline(), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readline()
            else:
                length = next(int(x.split(b":")[1]) for x in lines if x.startswith(b"content-length:"))
                body = await self.reader.readexactly(length)
            if b"connection: close" in lines:
                self.close()
            return int(lines[0].split()[1]), body
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            self.close()
            return 0, b""

    def close(self):
        if self.writer:
            self.writer.close()
            self.writer = None


async def at_rate(per_second, seconds, ask):
    """Starts ask() so often, whether or not earlier ones are over, and waits for all; their results."""
    began, running = time.monotonic(), []
    for n in range(int(per_second * seconds)):
        await asyncio.sleep(max(0, began + n / per_second - time.monotonic()))
        running.append(asyncio.create_task(ask()))
    return await asyncio.gather(*running)


class Pool:
    """Clients that are taken and given back."""

    def __init__(self, port):
        self.port, self.idle = port, []

    async def ask(self, raw):
        client = self.idle.pop() if self.idle else Client(self.port)
        try:
            return await client.ask(raw)
        finally:
            self.idle.append(client)

    def close(self):
        for client in self.idle:
            client.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
