// The Vercel AI SDK: OpenAI (Responses and chat), OpenAI-compatible and Anthropic providers, each in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { answerSchema, base, citySchema, each, isTheEnd, lookUp } from "./common.mjs";

const openai = createOpenAI({ baseURL: base, apiKey: "sk-anything" });
const makers = [
    ["chat", "@ai-sdk/openai chat", (name) => openai.chat(name)],
    ["responses", "@ai-sdk/openai responses", (name) => openai.responses(name)],
    ["chat", "@ai-sdk/openai-compatible", createOpenAICompatible({ name: "portolan", baseURL: base, apiKey: "sk-anything", supportsStructuredOutputs: true, includeUsage: true })],
    ["messages", "@ai-sdk/anthropic", createAnthropic({ baseURL: base, apiKey: "sk-anything" })],
];
const tools = { get_weather: tool({ description: "Weather of a city", inputSchema: jsonSchema(citySchema), execute: async (input) => lookUp(input) }) };
const ask = (make, name, more = {}) => ({ model: make(name), prompt: "weather?", maxRetries: 0, ...more });

for (const [own, name, make] of makers) {
    each(own, `${name}: whole answers and streams`, async (up) => {
        const whole = await generateText(ask(make, `${up}/hello`));
        assert.deepEqual([whole.text, whole.finishReason, whole.usage.inputTokens, whole.usage.outputTokens], ["hello from upstream", "stop", 11, 7]);
        const streamed = streamText(ask(make, `${up}/reasoning`));
        assert.equal(await streamed.text, "hello from upstream");
        assert.equal(await streamed.finishReason, "stop");
        if (!name.endsWith("openai chat")) assert.equal(await streamed.reasoningText, "hm, well"); // that one has no place for it
    });

    each(own, `${name}: a tool conversation to its end`, async (up) => {
        const options = { tools, stopWhen: stepCountIs(5) };
        const whole = await generateText(ask(make, `${up}/tools`, options));
        isTheEnd(whole.text);
        assert.equal(whole.steps.length, 3);
        isTheEnd(await streamText(ask(make, `${up}/tools`, options)).text);
    });

    each(own, `${name}: structured output`, async (up) => {
        const reply = await generateText(ask(make, `${up}/json`, { output: Output.object({ schema: jsonSchema(answerSchema) }) }));
        assert.deepEqual(reply.output, { city: "Paris", population: 2 });
    });

    each(own, `${name}: errors are the library's own class`, async (up) => {
        const fails = (kind) => generateText(ask(make, `${up}-${kind}/${kind}`));
        await assert.rejects(fails("bad"), (e) => APICallError.isInstance(e) && e.statusCode === 400 && /temperature is too high/.test(e.message) && !e.isRetryable);
        await assert.rejects(fails("busy"), (e) => APICallError.isInstance(e) && e.statusCode === 429 && e.isRetryable);
        await assert.rejects(fails("down"), (e) => APICallError.isInstance(e) && e.statusCode >= 500);
        const errors = [];
        await streamText(ask(make, `${up}-broken/broken`, { onError: ({ error }) => errors.push(error) })).consumeStream();
        assert.ok(errors.length > 0, "a stream that broke off looks whole");
    });
}
