// OpenAI's Responses API with the official library for Node, in front of an upstream that speaks chat completions. run.py sets PORTOLAN_BASE.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.PORTOLAN_BASE, apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const weather = { type: "function", name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false }, strict: true };

test("responses: a whole answer", async () => {
    const response = await client.responses.create({ model: "up/plain", input: "hi" });
    assert.equal(response.output_text, "hello from upstream");
    assert.equal(response.status, "completed");
    assert.equal(response.usage.total_tokens, 5);
});

test("responses: the accumulating stream accepts every event", async () => {
    for (const model of ["up/plain", "up/reasoning", "echo/echo"]) {
        const response = await client.responses.stream({ model, input: "hello from upstream" }).finalResponse();
        assert.equal(response.status, "completed");
        assert.ok(response.output_text.length > 0);
    }
});

test("responses: a conversation with a tool, to its end", async () => {
    for (const stream of [false, true]) {
        const input = [{ role: "user", content: "weather?" }];
        const turn = () => {
            const body = { model: "up/tools", input, tools: [weather], store: false };
            return stream ? client.responses.stream(body).finalResponse() : client.responses.create(body);
        };
        const first = await turn();
        const call = first.output.find((item) => item.type === "function_call");
        assert.equal(call.name, "get_weather");
        assert.deepEqual(JSON.parse(call.arguments), { city: "Paris" });
        input.push(...first.output, { type: "function_call_output", call_id: call.call_id, output: "18 degrees" });
        assert.match((await turn()).output_text, /The tool said: 18 degrees/);
    }
});

test("responses: structured output and pictures", async () => {
    const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
    const parsed = await client.responses.parse({ model: "up/json", input: "Paris", text: { format: { type: "json_schema", name: "city", schema, strict: true } } });
    assert.equal(JSON.parse(parsed.output_text).city, "Paris");
    const seen = await client.responses.create({
        model: "up/vision",
        input: [{ role: "user", content: [{ type: "input_text", text: "what?" }, { type: "input_image", image_url: "data:image/png;base64,iVBORw0KGgo=", detail: "auto" }] }],
    });
    assert.match(seen.output_text, /an image of data:image\/png;base64/);
});

test("errors are the library's own classes, and state is refused by name", async () => {
    await assert.rejects(client.responses.create({ model: "bad/bad", input: "x" }), (e) => e instanceof OpenAI.BadRequestError && /temperature/.test(e.message));
    await assert.rejects(client.responses.create({ model: "busy/busy", input: "x" }), OpenAI.RateLimitError);
    await assert.rejects(client.responses.create({ model: "up/plain", input: "x", previous_response_id: "resp_1" }), (e) => e instanceof OpenAI.BadRequestError && /previous_response_id/.test(e.message));
    await assert.rejects(client.responses.stream({ model: "broken/broken", input: "x" }).finalResponse(), OpenAI.APIError);
});
