"""Recorded requests of four dialects to providers of every other: valid there, and translated back they say what they said."""

import base64
import collections
import json
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from dialects import READY, RECORDINGS, SPECS, Schema
from harness import SKIPPED, run_tests
from speakers import BeforeSpeakers

# dialect -> api of the recordings, the list that makes it a request, a model that has what is newest
DIALECTS = {"chat": (("chat",), "messages", "gpt-5"), "messages": (("messages",), "messages", "claude-sonnet-4-5"), "responses": (("responses",), "input", "gpt-5"),
            "gemini": (("generateContent", "streamGenerateContent"), "contents", "gemini-2.5-flash")}
UPSTREAMS = ("chat", "messages", "responses", "gemini", "converse", "cohere", "ollama")
MODELS = {**{d: m for d, (_, _, m) in DIALECTS.items()}, "converse": "anthropic.claude-sonnet-4-5", "cohere": "command-a", "ollama": "qwen3"}
JSON_WANTED = "Answer with one JSON object and nothing else."  # what is said where json_object has no twin
REFUSED = (400, 422)  # what the other side has no place for, in clear words
HOST_OWN = ("models", "route", "portolan", "provider", "transforms", "plugins")  # what steers a router is not for the provider


class Converse:
    """AWS publishes shapes instead of a schema."""

    def __init__(self):
        self.shapes = json.loads((SPECS / "bedrock-runtime.subset.json").read_text())["shapes"]

    def mistakes(self, value, shape="ConverseRequest", at="$"):
        s = self.shapes[shape]
        kind = s["type"]
        if s.get("document"):
            return []
        if kind == "structure":
            if not isinstance(value, dict):
                return [f"{at}: no object"]
            out = [f"{at}: no {r}" for r in s.get("required", []) if r not in value and s["members"][r].get("location") != "uri"]
            if s.get("union") and len(value) != 1:
                out.append(f"{at}: {sorted(value)} for one of a union")
            for k, v in value.items():
                out += self.mistakes(v, s["members"][k]["shape"], f"{at}.{k}") if k in s["members"] else [f"{at}: {k} is unknown"]
            return out
        if kind == "list":
            return [m for n, v in enumerate(value) for m in self.mistakes(v, s["member"]["shape"], f"{at}[{n}]")] if isinstance(value, list) else [f"{at}: no list"]
        if kind == "string" and (not isinstance(value, str) or ("enum" in s and value not in s["enum"]) or len(value) < s.get("min", 0)):
            return [f"{at}: {value!r:.60} is no {shape}"]
        return []


class GenerateContent:
    """Google's types have no request: its parts are judged one by one."""

    def __init__(self):
        def part(name):
            return Schema("gemini.jsonschema.json", f"#/definitions/GeminiBundle/properties/{name}")

        self.lists = {"contents": part("Content"), "tools": part("Tool"), "safetySettings": part("Safety")}
        self.objects = {"systemInstruction": part("Content"), "toolConfig": part("ToolConfig"), "generationConfig": part("GenerationConfig")}

    def mistakes(self, body):
        out = [f"{k} is unknown" for k in body if k not in self.lists and k not in self.objects and k not in ("cachedContent", "labels")]
        out += [m for k, s in self.lists.items() for v in body.get(k, []) for m in s.mistakes(v)]
        return out + [m for k, s in self.objects.items() if k in body for m in s.mistakes(body[k])]


def texts(content, joint="\n"):
    """Text of a string or parts of any dialect."""
    if content is None or isinstance(content, str):
        return content or ""
    return joint.join(p if isinstance(p, str) else p.get("text") or p.get("refusal") or "" for p in content if isinstance(p, str) or p.get("text") or p.get("refusal"))


class Meaning:
    """What a request says, in no dialect."""

    def __init__(self):
        self.system, self.turns, self.media, self.calls, self.results, self.tools = [], [], [], [], [], {}
        self.schema = None
        self.documents = []  # texts that are attached, not said

    def attach(self, data, kind=""):
        if not data:
            return
        text = kind.startswith("text/") or data.startswith("data:text/")
        data = data.split(",", 1)[1] if data.startswith("data:") else data
        self.documents.append(unspaced(base64.b64decode(data).decode())) if text else self.media.append(data)

    def say(self, role, text):
        text = text.strip()
        if not text:
            return
        if role in ("system", "developer"):
            self.system.append(text)
        elif self.turns and self.turns[-1][0] == role:
            self.turns[-1][1] += "\n" + text
        else:
            self.turns.append([role, text])

    def call(self, name, arguments):
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except ValueError:
                arguments = {}
        self.calls.append((name, arguments if isinstance(arguments, dict) else {}))

    def facts(self):
        """White space between parts is nobody's meaning."""
        said = [(r, unspaced(t)) for r, t in self.turns]
        if said and said[0][0] == "user" and said[0][1].startswith("Continue."):  # who wants a user's turn first gets one
            said[0] = ("user", said[0][1].removeprefix("Continue."))
        return {"system": unspaced("".join(self.system)).removesuffix(unspaced(JSON_WANTED)), "turns": [t for t in said if t[1]], "media": sorted(self.media),
                "documents": self.documents, "calls": self.calls, "results": [unspaced(result_text(r)) for r in self.results], "tools": self.tools,
                "schema": self.schema is not None}


def unspaced(text):
    return re.sub(r"\s+", "", text)


def result_text(text):
    """A result is text in one dialect and an object in another: what is inside of {"result": …}."""
    value = text
    while True:
        try:
            inner = json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return value
        if not (isinstance(inner, dict) and len(inner) == 1 and next(iter(inner)) in ("result", "output", "error", "content")):
            return inner if isinstance(inner, str) else json.dumps(inner, sort_keys=True)
        value = next(iter(inner.values()))


def of_chat(body):
    m = Meaning()
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if role in ("tool", "function"):
            m.results.append(texts(content))
        else:
            m.say(role, texts(content))
        for p in content if isinstance(content, list) else []:
            if isinstance(p, dict) and p.get("type") == "image_url":
                m.attach(p["image_url"] if isinstance(p["image_url"], str) else p["image_url"]["url"])
            elif isinstance(p, dict) and p.get("type") == "file":
                m.attach(p["file"].get("file_data") or p["file"].get("file_url"))
            elif isinstance(p, dict) and p.get("type") == "input_audio":
                m.attach(p["input_audio"]["data"])
        for call in message.get("tool_calls") or []:
            m.call(call["function"]["name"], call["function"].get("arguments"))
        if message.get("function_call"):
            m.call(message["function_call"]["name"], message["function_call"].get("arguments"))
    for t in body.get("tools") or []:
        if t.get("type", "function") == "function":
            m.tools[t["function"]["name"]] = t["function"].get("description") or ""
    for f in body.get("functions") or []:
        m.tools[f["name"]] = f.get("description") or ""
    form = body.get("response_format") or {}
    m.schema = form["json_schema"]["schema"] if form.get("type") == "json_schema" else None
    return m.facts()


def of_messages(body):
    m = Meaning()
    m.say("system", texts(body.get("system")))

    def source(block):
        s = block["source"]
        if s["type"] == "content":
            m.say("user", texts(s["content"]))
        elif s["type"] == "text":
            m.documents.append(unspaced(s["data"]))
        else:
            m.attach(s.get("data") or s.get("url") or s.get("file_id"), s.get("media_type", ""))

    for message in body["messages"]:
        content = message["content"]
        m.say(message["role"], texts([b for b in content if b["type"] == "text"] if isinstance(content, list) else content))
        for b in content if isinstance(content, list) else []:
            if b["type"] in ("image", "document"):
                source(b)
            elif b["type"] == "tool_use":
                m.call(b["name"], b["input"])
            elif b["type"] == "tool_result":
                inner = b.get("content")
                m.results.append(texts([x for x in inner if x["type"] == "text"] if isinstance(inner, list) else inner))
                for x in inner if isinstance(inner, list) else []:
                    if x["type"] in ("image", "document"):
                        source(x)
                    elif x["type"] == "search_result":
                        m.documents.append(unspaced(texts(x["content"], "")))
    for t in body.get("tools") or []:
        if "input_schema" in t:
            m.tools[t["name"]] = t.get("description") or ""
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    m.schema = form.get("schema")
    return m.facts()


def of_responses(body):
    m = Meaning()
    m.say("system", body.get("instructions") or "")
    items = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]

    def parts(content):
        for p in content if isinstance(content, list) else []:
            if p["type"] == "input_image":
                m.attach(p.get("image_url"))
            elif p["type"] == "input_file":
                m.attach(p.get("file_data") or p.get("file_url"))
            elif p["type"] == "input_audio":
                m.attach(p["input_audio"]["data"])

    for i in items:
        kind = i.get("type", "message")
        if kind == "message":
            m.say(i["role"], texts(i["content"]))
            parts(i["content"])
        elif kind == "function_call":
            m.call(i["name"], i["arguments"])
        elif kind == "function_call_output":
            m.results.append(texts(i["output"]))
            parts(i["output"])
    for t in body.get("tools") or []:
        if t["type"] == "function":
            m.tools[t["name"]] = t.get("description") or ""
    form = (body.get("text") or {}).get("format") or {}
    m.schema = form.get("schema")
    return m.facts()


def of_gemini(body):
    m = Meaning()

    def attach(part):
        blob = part.get("inlineData") or part.get("inline_data") or part.get("fileData") or part.get("file_data")
        if blob:
            m.attach(blob.get("data") or blob.get("fileUri") or blob.get("file_uri"), blob.get("mimeType") or blob.get("mime_type") or "")

    system = body.get("systemInstruction") or body.get("system_instruction") or {}
    m.say("system", system if isinstance(system, str) else texts(system.get("parts")))
    for content in body["contents"]:
        role = "assistant" if content.get("role") == "model" else "user"
        for p in content.get("parts") or []:
            if p.get("text") and not p.get("thought"):
                m.say(role, p["text"])
            attach(p)
            call, result = p.get("functionCall") or p.get("function_call"), p.get("functionResponse") or p.get("function_response")
            if call:
                m.call(call["name"], call.get("args") or {})
            if result:
                m.results.append(json.dumps(result.get("response"), sort_keys=True))
                for inner in result.get("parts") or []:
                    attach(inner)
    for t in body.get("tools") or []:
        for f in t.get("functionDeclarations") or t.get("function_declarations") or []:
            m.tools[f["name"]] = f.get("description") or ""
    config = body.get("generationConfig") or body.get("generation_config") or {}
    m.schema = config.get("responseJsonSchema") or config.get("responseSchema") or config.get("response_schema")
    return m.facts()


READERS = {"chat": of_chat, "messages": of_messages, "responses": of_responses, "gemini": of_gemini}


def recorded(dialect):
    """(file, body) of the requests that their provider took, each once."""
    apis, list_name, _ = DIALECTS[dialect]
    seen = set()
    for path in sorted(p for api in apis for p in RECORDINGS.glob(f"*/{api}--*.json")):
        case = json.loads(path.read_text())
        body = (case["request"] or {}).get("body")
        if not isinstance(body, dict) or list_name not in body or case["response"]["status"] != 200:
            continue
        body = {k: v for k, v in body.items() if k not in (*HOST_OWN, "stream", "stream_options", "model")}
        key = json.dumps(body, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield str(path.relative_to(RECORDINGS)), body


class Requests(BeforeSpeakers):
    NAMES = UPSTREAMS

    @classmethod
    def note(cls, name, call):
        found = re.search(r"case\d+x?", call.path) or re.search(r"case\d+x?", call.json["model"])
        cls.asked[name, found.group(0)] = call.json

    def ask(self, dialect, upstream, number, body):
        """(reply, what the upstream was asked)."""
        reply = self.ask_model(dialect, f"{upstream}/{MODELS[upstream]}-{number}", body)
        return reply, self.asked.get((upstream, number))

    def run_all(self, jobs, one):
        wrong, counted, lock = [], collections.Counter(), threading.Lock()

        def work(job):
            try:
                outcome, mistakes = one(*job)
            except Exception as error:
                outcome, mistakes = "wrong", [f"cannot be judged: {error!r}"]
            with lock:
                counted[job[0], job[1], outcome] += 1
                wrong.extend(f"{job[3]} to {job[1]}: {m}" for m in mistakes[:2])

        with ThreadPoolExecutor(6) as workers:
            list(workers.map(work, jobs))
        print(f"\n{'from':<12}{'to':<12}{'right':>7}{'refused':>9}{'wrong':>7}", file=sys.stderr)
        for a, b in sorted({(a, b) for a, b, _ in counted}):
            print(f"{a:<12}{b:<12}{counted[a, b, 'right']:>7}{counted[a, b, 'refused']:>9}{counted[a, b, 'wrong']:>7}", file=sys.stderr)
        self.assertGreater(sum(counted.values()), 500)
        self.assertFalse(wrong, f"\n{len(wrong)}\n" + "\n".join(sorted(wrong)[:60]))

    def test_a_requests_are_valid_where_they_go(self):
        def openai(name):
            schema = Schema("openai.jsonschema.relaxed.json", f"#/$defs/{name}")
            return lambda body: schema.mistakes(body)

        messages = Schema("anthropic.jsonschema.relaxed.json", "#/definitions/AnthropicBundle/properties/CreateRequest")
        judges = {"chat": openai("CreateChatCompletionRequest"), "responses": openai("CreateResponse"), "messages": messages.mistakes,
                  "gemini": GenerateContent().mistakes, "converse": Converse().mistakes}

        def one(dialect, upstream, number, _file, body):
            reply, asked = self.ask(dialect, upstream, number, body)
            if reply.status in REFUSED and reply.json["error"]["message"]:
                return "refused", []
            if reply.status != 200:
                return "wrong", [f"{reply.status} {reply.body[:300]}"]
            mistakes = judges[upstream](asked)
            return ("wrong" if mistakes else "right"), mistakes

        self.run_all([(a, b, f"case{n}", file, body) for a in DIALECTS for n, (file, body) in enumerate(recorded(a)) for b in judges if a != b], one)

    def test_b_there_and_back_they_say_the_same(self):
        def one(dialect, through, number, _file, body):
            there, middle = self.ask(dialect, through, number, body)
            if there.status in REFUSED:
                return "refused", []
            dropped = (there.headers.get("x-portolan-dropped-params") or "").split(",")
            middle = {k: v for k, v in middle.items() if k not in ("model", "stream")}
            back, final = self.ask(through, dialect, number + "x", middle)
            if back.status in REFUSED:
                return "refused", []
            if back.status != 200:
                return "wrong", [f"back: {back.status} {back.body[:300]}"]
            want, got = READERS[dialect](body), READERS[dialect](final)
            if want["documents"]:  # where there is no place for them they are said
                said = "".join([t for _, t in got["turns"]] + got["documents"] + got["results"])
                if all(t in said for t in want["documents"] + want["results"] + [t for _, t in want["turns"]]):
                    want.update({k: got[k] for k in ("documents", "results", "turns")})
            mistakes = [f"{k}: {str(got[k])[:260]} for {str(want[k])[:260]} (dropped {dropped})" for k in want if got[k] != want[k]]
            return ("wrong" if mistakes else "right"), mistakes

        self.run_all([(a, b, f"case{1000 + n}", file, body) for a in DIALECTS for n, (file, body) in enumerate(recorded(a)) for b in DIALECTS if a != b], one)


if __name__ == "__main__":
    if not READY:
        print(f"SKIPPED: needs python3-jsonschema, and recordings at {RECORDINGS} (set PORTOLAN_SHARED)")
        sys.exit(SKIPPED)
    run_tests()
