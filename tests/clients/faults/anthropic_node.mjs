// The official Anthropic library for Node, with its own retries, over faults: nothing that was cut passes for an answer. run.py sets the environment.
import Anthropic from "@anthropic-ai/sdk";
import assert from "node:assert/strict";
import { test } from "node:test";

const client = new Anthropic({ baseURL: process.env.PORTOLAN_BASE.replace(/\/v1$/, ""), apiKey: "sk-anything", timeout: 30_000 });
const HELLO = "Hello from faultd";
const question = (model) => ({ model, max_tokens: 100, messages: [{ role: "user", content: "hi" }] });

async function streamed(model) {
    let text = "";
    for await (const event of await client.messages.create({ ...question(model), stream: true }))
        if (event.type === "content_block_delta") text += event.delta.text;
    return text;
}

async function whole(model) {
    const message = await client.messages.create(question(model));
    return message.content[0].text;
}

test("every fault", { concurrency: true }, async (all) => {
    const running = JSON.parse(process.env.FAULT_CASES).map(({ name, model, stream, answers }) => all.test(name, async () => {
        const ask = () => (stream ? streamed(model) : whole(model));
        if (answers) return assert.equal(await ask(), HELLO);
        await assert.rejects(ask, (e) => e instanceof Anthropic.APIError && e.message.length > 5 && !(e instanceof Anthropic.AuthenticationError));
    }));
    await Promise.all(running);
});
