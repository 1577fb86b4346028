// Google's library for Node in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import { ApiError, GoogleGenAI } from "@google/genai";
import { answerSchema, citySchema, each, isTheEnd, lookUp, root } from "./common.mjs";

const client = new GoogleGenAI({ apiKey: "anything", httpOptions: { baseUrl: root, timeout: 30_000 } });
const config = { tools: [{ functionDeclarations: [{ name: "get_weather", description: "Weather of a city", parametersJsonSchema: citySchema }] }] };
const put = (name) => encodeURIComponent(name); // the library writes the name into a path

async function collect(stream) {
    const parts = [];
    let last;
    for await (const chunk of stream) {
        parts.push(...(chunk.candidates[0].content?.parts ?? []));
        last = chunk;
    }
    return { parts, last };
}

each("gemini", "whole answers and streams", async (up) => {
    const whole = await client.models.generateContent({ model: put(`${up}/hello`), contents: "hi" });
    assert.deepEqual([whole.text, whole.usageMetadata.promptTokenCount, whole.usageMetadata.candidatesTokenCount], ["hello from upstream", 11, 7]);
    const { parts, last } = await collect(await client.models.generateContentStream({ model: put(`${up}/reasoning`), contents: "hi", config: { thinkingConfig: { includeThoughts: true } } }));
    assert.equal(parts.filter((p) => !p.thought).map((p) => p.text ?? "").join(""), "hello from upstream");
    assert.equal(parts.filter((p) => p.thought).map((p) => p.text ?? "").join(""), "hm, well");
    assert.equal(last.candidates[0].finishReason, "STOP");
});

each("gemini", "a tool conversation to its end, whole and streamed", async (up) => {
    for (const streamed of [false, true]) {
        const contents = [{ role: "user", parts: [{ text: "weather?" }] }];
        for (let turn = 0; ; turn++) {
            assert.ok(turn < 4, "the conversation does not end");
            const body = { model: put(`${up}/tools`), contents, config };
            const parts = streamed
                ? (await collect(await client.models.generateContentStream(body))).parts
                : (await client.models.generateContent(body)).candidates[0].content.parts;
            const calls = parts.filter((p) => p.functionCall).map((p) => p.functionCall);
            if (calls.length === 0) {
                isTheEnd(parts.map((p) => p.text ?? "").join(""));
                break;
            }
            contents.push({ role: "model", parts });
            contents.push({ role: "user", parts: calls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { result: lookUp(c.args) } } })) });
        }
    }
});

each("gemini", "a chat keeps the history itself", async (up) => {
    const chat = client.chats.create({ model: put(`${up}/tools`), config });
    let reply = await chat.sendMessage({ message: "weather?" });
    for (let turn = 0; reply.functionCalls; turn++) {
        assert.ok(turn < 4, "the conversation does not end");
        reply = await chat.sendMessage({ message: reply.functionCalls.map((c) => ({ functionResponse: { id: c.id, name: c.name, response: { result: lookUp(c.args) } } })) });
    }
    isTheEnd(reply.text);
});

each("gemini", "structured output", async (up) => {
    const reply = await client.models.generateContent({ model: put(`${up}/json`), contents: "Paris", config: { responseMimeType: "application/json", responseJsonSchema: answerSchema } });
    assert.deepEqual(JSON.parse(reply.text), { city: "Paris", population: 2 });
});

each("gemini", "errors are the library's own class, with the status", async (up) => {
    const status = (wanted) => (e) => e instanceof ApiError && e.status === wanted;
    const ask = (kind) => client.models.generateContent({ model: put(`${up}-${kind}/${kind}`), contents: "x" });
    await assert.rejects(ask("bad"), (e) => status(400)(e) && /temperature is too high/.test(e.message));
    await assert.rejects(ask("busy"), status(429));
    await assert.rejects(ask("down"), (e) => e instanceof ApiError && e.status >= 500);
    await assert.rejects(async () => collect(await client.models.generateContentStream({ model: put(`${up}-broken/broken`), contents: "x" })));
});
