// The official OpenAI library for Node, Responses API, in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { answerSchema, base, citySchema, each, isTheEnd, lookUp } from "./common.mjs";

const client = new OpenAI({ baseURL: base, apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const tool = { type: "function", name: "get_weather", parameters: citySchema, strict: true };

each("responses", "whole answers and streams", async (up) => {
    const whole = await client.responses.create({ model: `${up}/hello`, input: "hi", store: false });
    assert.deepEqual([whole.output_text, whole.status, whole.usage.input_tokens, whole.usage.output_tokens], ["hello from upstream", "completed", 11, 7]);
    const streamed = await client.responses.stream({ model: `${up}/reasoning`, input: "hi", reasoning: { effort: "low", summary: "auto" } }).finalResponse();
    assert.equal(streamed.output_text, "hello from upstream");
    assert.equal(streamed.output[0].summary[0].text, "hm, well");
});

each("responses", "a tool conversation to its end, whole and streamed", async (up) => {
    for (const streamed of [false, true]) {
        const input = [{ role: "user", content: "weather?" }];
        for (let turn = 0; ; turn++) {
            assert.ok(turn < 4, "the conversation does not end");
            const body = { model: `${up}/tools`, input, tools: [tool], store: false };
            const response = streamed ? await client.responses.stream(body).finalResponse() : await client.responses.create(body);
            const calls = response.output.filter((item) => item.type === "function_call");
            if (calls.length === 0) {
                isTheEnd(response.output_text);
                break;
            }
            input.push(...response.output);
            for (const call of calls) input.push({ type: "function_call_output", call_id: call.call_id, output: lookUp(JSON.parse(call.arguments)) });
        }
    }
});

each("responses", "structured output is parsed", async (up) => {
    const format = { type: "json_schema", name: "place", schema: answerSchema, strict: true };
    const response = await client.responses.parse({ model: `${up}/json`, input: "Paris", text: { format } });
    assert.deepEqual(response.output_parsed, { city: "Paris", population: 2 });
});

each("responses", "errors are the library's own classes", async (up) => {
    const ask = (kind) => client.responses.create({ model: `${up}-${kind}/${kind}`, input: "x" });
    await assert.rejects(ask("bad"), (e) => e instanceof OpenAI.BadRequestError && /temperature is too high/.test(e.message));
    await assert.rejects(ask("busy"), OpenAI.RateLimitError);
    await assert.rejects(ask("down"), OpenAI.InternalServerError);
    await assert.rejects(client.responses.stream({ model: `${up}-broken/broken`, input: "x" }).finalResponse(), OpenAI.APIError);
});
