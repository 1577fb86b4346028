// The official OpenAI library for Node, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.PORTOLAN_BASE, apiKey: "sk-anything", timeout: 30_000 });
const HELLO = "Hello from faultd";

async function streamed(model) {
    const stream = await client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }], stream: true });
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
}

async function whole(model) {
    const reply = await client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }] });
    return reply.choices[0].message.content;
}

test("every fault", { concurrency: true }, async (all) => {
    const running = JSON.parse(process.env.FAULT_CASES).map(({ name, model, stream, answers }) => all.test(name, async () => {
        const ask = () => (stream ? streamed(model) : whole(model));
        if (answers) return assert.equal(await ask(), HELLO);
        await assert.rejects(ask, (e) => e instanceof OpenAI.APIError && e.message.length > 5 && !(e instanceof OpenAI.AuthenticationError));
    }));
    await Promise.all(running);
});
