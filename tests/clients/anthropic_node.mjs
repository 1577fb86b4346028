// The official Anthropic library for Node against Portolan, in front of an upstream that speaks OpenAI. run.py sets PORTOLAN_BASE.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: process.env.PORTOLAN_BASE.replace(/\/v1$/, ""), apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const user = (content) => [{ role: "user", content }];
const weather = { name: "get_weather", description: "Weather of a city", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };
const ask = (model, content, more = {}) => ({ model, max_tokens: 200, messages: user(content), ...more });

test("messages: a whole answer", async () => {
    const message = await client.messages.create(ask("up/plain", "hi"));
    assert.equal(message.content[0].text, "hello from upstream");
    assert.equal(message.role, "assistant");
    assert.equal(message.stop_reason, "end_turn");
    assert.deepEqual([message.usage.input_tokens, message.usage.output_tokens], [3, 2]);
});

test("messages: the accumulating stream accepts every event", async () => {
    for (const model of ["up/plain", "up/reasoning", "echo/echo"]) {
        const message = await client.messages.stream(ask(model, "hello from upstream")).finalMessage();
        assert.equal(message.stop_reason, "end_turn");
        assert.ok(message.content.some((block) => block.type === "text" && block.text.length > 0));
        if (model === "up/reasoning") assert.equal(message.content[0].thinking, "hm");
    }
});

test("messages: a conversation with a tool, to its end", async () => {
    for (const stream of [false, true]) {
        const messages = user("weather?");
        const turn = () => {
            const body = { model: "up/tools", max_tokens: 200, messages, tools: [weather] };
            return stream ? client.messages.stream(body).finalMessage() : client.messages.create(body);
        };
        const first = await turn();
        assert.equal(first.stop_reason, "tool_use");
        const call = first.content.find((block) => block.type === "tool_use");
        assert.equal(call.name, "get_weather");
        assert.deepEqual(call.input, { city: "Paris" });
        messages.push({ role: "assistant", content: first.content });
        messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "18 degrees" }] });
        const second = await turn();
        assert.match(second.content[0].text, /The tool said: 18 degrees/);
    }
});

test("messages: pictures and structured output", async () => {
    const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } };
    const seen = await client.messages.create(ask("up/vision", [{ type: "text", text: "what is it?" }, picture]));
    assert.match(seen.content[0].text, /an image of data:image\/png;base64/);
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
    const structured = await client.messages.create(ask("up/json", "Paris", { output_config: { format: { type: "json_schema", schema } } }));
    assert.equal(JSON.parse(structured.content[0].text).city, "Paris");
});

test("errors are the library's own classes", async () => {
    await assert.rejects(client.messages.create(ask("bad/bad", "x")), (e) => e instanceof Anthropic.BadRequestError && /temperature/.test(e.message));
    await assert.rejects(client.messages.create(ask("busy/busy", "x")), Anthropic.RateLimitError);
    await assert.rejects(client.messages.create(ask("no-such-model", "x")), Anthropic.NotFoundError);
    await assert.rejects(client.messages.stream(ask("broken/broken", "x")).finalMessage(), Anthropic.APIError);
});

test("models are listed", async () => {
    const ids = [];
    for await (const model of client.models.list()) ids.push(model.id);
    assert.ok(ids.includes("echo"));
});
