// The official OpenAI library for Node against Portolan. Expects PORTOLAN_BASE and UPSTREAM_GONE; run.py sets them.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.PORTOLAN_BASE, apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const user = (content) => [{ role: "user", content }];
const weather = {
    type: "function",
    function: {
        name: "get_weather",
        description: "Weather of a city",
        parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
    },
};

test("chat: a whole answer with role, finish reason, usage and request id", async () => {
    const reply = await client.chat.completions.create({ model: "up/plain", messages: user("hi") });
    assert.equal(reply.choices[0].message.content, "hello from upstream");
    assert.equal(reply.choices[0].message.role, "assistant");
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.total_tokens, 5);
    assert.ok(reply._request_id);
});

test("chat: echo repeats the last user text", async () => {
    const reply = await client.chat.completions.create({ model: "auto", messages: user("one two three") });
    assert.match(reply.choices[0].message.content, /one two three/);
});

test("stream: chunks add up, one finish reason, no usage unless asked for", async () => {
    for (const model of ["up/plain", "echo/echo"]) {
        const stream = await client.chat.completions.create({ model, messages: user("hello from upstream"), stream: true });
        let text = "", finishes = 0;
        for await (const chunk of stream) {
            assert.ok(Array.isArray(chunk.choices));
            assert.ok(!chunk.usage);
            text += chunk.choices[0]?.delta?.content ?? "";
            finishes += chunk.choices[0]?.finish_reason ? 1 : 0;
        }
        assert.match(text, /hello from upstream/);
        assert.equal(finishes, 1);
    }
});

test("stream: usage comes last when asked for", async () => {
    for (const model of ["up/plain", "echo/echo"]) {
        const stream = await client.chat.completions.create({ model, messages: user("hi"), stream: true, stream_options: { include_usage: true } });
        let last;
        for await (const chunk of stream) last = chunk;
        assert.deepEqual(last.choices, []);
        assert.ok(last.usage.total_tokens > 0);
    }
});

test("stream(): the accumulating call accepts every chunk", async () => {
    for (const model of ["up/plain", "echo/echo", "up/reasoning"]) {
        const final = await client.chat.completions.stream({ model, messages: user("hello from upstream") }).finalChatCompletion();
        assert.equal(final.choices[0].finish_reason, "stop");
        assert.ok(final.choices[0].message.content);
    }
});

test("tools: a whole call, then its result", async () => {
    const messages = user("weather in Paris?");
    const first = await client.chat.completions.create({ model: "up/tools", messages, tools: [weather] });
    const [call] = first.choices[0].message.tool_calls;
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    assert.equal(call.type, "function");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Paris" });
    messages.push(first.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" });
    const second = await client.chat.completions.create({ model: "up/tools", messages, tools: [weather] });
    assert.equal(second.choices[0].message.content, "The tool said: sunny");
});

test("tools: runTools drives the loop over streams", async () => {
    const seen = [];
    const runner = client.chat.completions.runTools({
        model: "up/tools",
        stream: true,
        messages: user("weather in Paris?"),
        tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: (a) => (seen.push(a), "sunny") } }],
    });
    assert.match(await runner.finalContent(), /The tool said: sunny/);
    assert.deepEqual(seen, [{ city: "Paris" }]);
});

test("JSON mode and JSON schema", async () => {
    const schema = { name: "city", strict: true, schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false } };
    for (const response_format of [{ type: "json_object" }, { type: "json_schema", json_schema: schema }]) {
        const reply = await client.chat.completions.create({ model: "up/json", messages: user("as JSON"), response_format });
        assert.equal(JSON.parse(reply.choices[0].message.content).city, "Paris");
    }
});

test("vision: image parts reach the upstream", async () => {
    const reply = await client.chat.completions.create({
        model: "up/vision",
        messages: [{ role: "user", content: [{ type: "text", text: "what is it?" }, { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }] }],
    });
    assert.match(reply.choices[0].message.content, /^an image of data:image\/png;base64/);
});

test("errors: a class, a status, a message, a code", async () => {
    await assert.rejects(client.chat.completions.create({ model: "there-is-none", messages: user("hi") }),
        (e) => e instanceof OpenAI.NotFoundError && e.code === "model_not_found" && e.message.length > 10);
    await assert.rejects(client.chat.completions.create({ model: "bad/bad", messages: user("hi"), temperature: 9 }),
        (e) => e instanceof OpenAI.BadRequestError && /temperature/.test(e.message));
    await assert.rejects(client.chat.completions.create({ model: "busy/busy", messages: user("hi") }),
        (e) => e instanceof OpenAI.RateLimitError && e.headers.get("retry-after") !== null);
    await assert.rejects(client.chat.completions.create({ model: "up/plain", messages: [] }), (e) => e instanceof OpenAI.BadRequestError);
});

test("a stream that broke raises", async () => {
    const stream = await client.chat.completions.create({ model: "broken/broken", messages: user("hi"), stream: true });
    let text = "";
    await assert.rejects(async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    });
    assert.equal(text, "half of ");
});

test("cancel: leaving a stream ends the upstream call", async () => {
    const stream = await client.chat.completions.create({ model: "up/endless", messages: user("hi"), stream: true });
    for await (const chunk of stream) {
        if (chunk.choices[0]?.delta?.content === "first") break; // leaving the loop aborts the request
    }
    for (let tries = 0; tries < 100; tries++) {
        const { gone } = await (await fetch(process.env.UPSTREAM_GONE)).json();
        if (gone.length) return assert.equal(gone[0], true);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail("the upstream call went on");
});

test("models: listed and retrieved", async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes("auto"));
    assert.equal((await client.models.retrieve("auto")).id, "auto");
});
