// LangChain for JavaScript (ChatOpenAI, chat completions and responses) in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { answerSchema, base, citySchema, each, isTheEnd, lookUp } from "./common.mjs";

const weather = tool(async (input) => lookUp(input), { name: "get_weather", description: "Weather of a city", schema: citySchema });

for (const own of ["chat", "responses"]) {
    const make = (model, more = {}) =>
        new ChatOpenAI({ model, apiKey: "sk-anything", configuration: { baseURL: base }, maxRetries: 0, useResponsesApi: own === "responses", zdrEnabled: true, ...more });

    each(own, `${own}: whole answers and streams`, async (up) => {
        const whole = await make(`${up}/hello`).invoke("hi");
        assert.equal(whole.text, "hello from upstream");
        assert.deepEqual([whole.usage_metadata.input_tokens, whole.usage_metadata.output_tokens], [11, 7]);
        let text = "";
        for await (const chunk of await make(`${up}/hello`).stream("hi")) text += chunk.text;
        assert.equal(text, "hello from upstream");
    });

    each(own, `${own}: a tool conversation to its end`, async (up) => {
        for (const streamed of [false, true]) {
            const model = make(`${up}/tools`).bindTools([weather]);
            const messages = [new HumanMessage("weather?")];
            for (let turn = 0; ; turn++) {
                assert.ok(turn < 4, "the conversation does not end");
                let reply;
                if (streamed) for await (const chunk of await model.stream(messages)) reply = reply ? reply.concat(chunk) : chunk;
                else reply = await model.invoke(messages);
                if (!reply.tool_calls?.length) {
                    isTheEnd(reply.text);
                    break;
                }
                messages.push(reply);
                for (const call of reply.tool_calls) messages.push(new ToolMessage({ tool_call_id: call.id, content: await weather.invoke(call.args) }));
            }
        }
    });

    each(own, `${own}: structured output`, async (up) => {
        const reply = await make(`${up}/json`).withStructuredOutput(answerSchema, { name: "place", method: "jsonSchema" }).invoke("Paris");
        assert.deepEqual(reply, { city: "Paris", population: 2 });
    });

    each(own, `${own}: errors say what they are`, async (up) => {
        const fails = (kind, status) => assert.rejects(make(`${up}-${kind}/${kind}`).invoke("x"), (e) => e.status === status && e instanceof Error);
        await fails("bad", 400);
        await fails("busy", 429);
        await assert.rejects(make(`${up}-down/down`).invoke("x"), (e) => e.status >= 500);
        if (own === "chat") // this library takes a failed response for an empty one
            await assert.rejects(async () => {
                for await (const _ of await make(`${up}-broken/broken`).stream("x"));
            });
    });
}
