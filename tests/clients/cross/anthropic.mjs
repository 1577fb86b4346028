// The official Anthropic library for Node in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { answerSchema, citySchema, each, isTheEnd, lookUp, root } from "./common.mjs";

const client = new Anthropic({ baseURL: root, apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const tool = { name: "get_weather", description: "Weather of a city", input_schema: citySchema };
const ask = (model, more = {}) => ({ model, max_tokens: 200, messages: [{ role: "user", content: "weather?" }], ...more });

each("messages", "whole answers and streams", async (up) => {
    const whole = await client.messages.create(ask(`${up}/hello`));
    assert.deepEqual([whole.content[0].text, whole.stop_reason, whole.usage.input_tokens, whole.usage.output_tokens], ["hello from upstream", "end_turn", 11, 7]);
    const streamed = await client.messages.stream(ask(`${up}/reasoning`)).finalMessage();
    assert.equal(streamed.content[0].thinking, "hm, well");
    assert.equal(streamed.content.find((b) => b.type === "text").text, "hello from upstream");
    assert.equal(streamed.usage.output_tokens, 7);
});

each("messages", "a tool conversation to its end, whole and streamed", async (up) => {
    for (const streamed of [false, true]) {
        const messages = [{ role: "user", content: "weather?" }];
        for (let turn = 0; ; turn++) {
            assert.ok(turn < 4, "the conversation does not end");
            const body = ask(`${up}/tools`, { messages, tools: [tool] });
            const message = streamed ? await client.messages.stream(body).finalMessage() : await client.messages.create(body);
            if (message.stop_reason === "end_turn") {
                isTheEnd(message.content[0].text);
                break;
            }
            assert.equal(message.stop_reason, "tool_use");
            messages.push({ role: "assistant", content: message.content });
            const results = message.content.filter((b) => b.type === "tool_use").map((b) => ({ type: "tool_result", tool_use_id: b.id, content: lookUp(b.input) }));
            messages.push({ role: "user", content: results });
        }
    }
});

each("messages", "structured output", async (up) => {
    const message = await client.messages.create(ask(`${up}/json`, { output_config: { format: { type: "json_schema", schema: answerSchema } } }));
    assert.deepEqual(JSON.parse(message.content[0].text), { city: "Paris", population: 2 });
});

each("messages", "errors are the library's own classes", async (up) => {
    const create = (kind) => client.messages.create(ask(`${up}-${kind}/${kind}`));
    await assert.rejects(create("bad"), (e) => e instanceof Anthropic.BadRequestError && /temperature is too high/.test(e.message));
    await assert.rejects(create("busy"), Anthropic.RateLimitError);
    await assert.rejects(create("down"), Anthropic.InternalServerError);
    await assert.rejects(client.messages.stream(ask(`${up}-broken/broken`)).finalMessage(), Anthropic.APIError);
});
