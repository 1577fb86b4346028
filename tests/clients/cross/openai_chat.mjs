// The official OpenAI library for Node, Chat Completions, in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { answerSchema, base, citySchema, each, isTheEnd, lookUp } from "./common.mjs";

const client = new OpenAI({ baseURL: base, apiKey: "sk-anything", maxRetries: 0, timeout: 30_000 });
const tool = { type: "function", function: { name: "get_weather", description: "Weather of a city", parameters: citySchema } };
const user = [{ role: "user", content: "weather?" }];

each("chat", "plain iteration and the accumulating stream", async (up) => {
    let text = "", usage;
    for await (const chunk of await client.chat.completions.create({ model: `${up}/hello`, messages: user, stream: true, stream_options: { include_usage: true } })) {
        text += chunk.choices[0]?.delta.content ?? "";
        usage = chunk.usage ?? usage;
    }
    assert.equal(text, "hello from upstream");
    assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], [11, 7]);
    const whole = await client.chat.completions.stream({ model: `${up}/reasoning`, messages: user }).finalChatCompletion();
    assert.equal(whole.choices[0].message.content, "hello from upstream");
    assert.equal(whole.choices[0].finish_reason, "stop");
});

each("chat", "a tool conversation by hand, whole and streamed", async (up) => {
    for (const streamed of [false, true]) {
        const messages = [...user];
        for (let turn = 0; ; turn++) {
            assert.ok(turn < 4, "the conversation does not end");
            const body = { model: `${up}/tools`, messages, tools: [tool] };
            const reply = streamed ? await client.chat.completions.stream(body).finalChatCompletion() : await client.chat.completions.create(body);
            const { message, finish_reason } = reply.choices[0];
            if (finish_reason === "stop") {
                isTheEnd(message.content);
                break;
            }
            assert.equal(finish_reason, "tool_calls");
            messages.push(message);
            for (const call of message.tool_calls) messages.push({ role: "tool", tool_call_id: call.id, content: lookUp(JSON.parse(call.function.arguments)) });
        }
    }
});

each("chat", "runTools calls the function and ends", async (up) => {
    for (const stream of [false, true]) {
        const runnable = { type: "function", function: { ...tool.function, function: lookUp, parse: JSON.parse } };
        isTheEnd(await client.chat.completions.runTools({ model: `${up}/tools`, messages: [...user], tools: [runnable], stream }).finalContent());
    }
});

each("chat", "structured output is parsed", async (up) => {
    const response_format = { type: "json_schema", json_schema: { name: "place", schema: answerSchema, strict: true } };
    const reply = await client.chat.completions.create({ model: `${up}/json`, messages: user, response_format });
    assert.deepEqual(JSON.parse(reply.choices[0].message.content), { city: "Paris", population: 2 });
});

each("chat", "errors are the library's own classes", async (up) => {
    const ask = (kind, more = {}) => client.chat.completions.create({ model: `${up}-${kind}/${kind}`, messages: user, ...more });
    await assert.rejects(ask("bad"), (e) => e instanceof OpenAI.BadRequestError && /temperature is too high/.test(e.message));
    await assert.rejects(ask("busy"), OpenAI.RateLimitError);
    await assert.rejects(ask("down"), OpenAI.InternalServerError);
    await assert.rejects(client.chat.completions.stream({ model: `${up}-broken/broken`, messages: user }).finalChatCompletion(), OpenAI.APIError);
});
