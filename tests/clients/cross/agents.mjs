// OpenAI's Agents SDK, over chat completions and over responses, in front of upstreams of every other dialect.
import assert from "node:assert/strict";
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from "@openai/agents";
import { answerSchema, base, citySchema, each, isTheEnd, lookUp } from "./common.mjs";

setTracingDisabled(true);
const weather = tool({ name: "get_weather", description: "Weather of a city", parameters: citySchema, strict: true, execute: async (input) => lookUp(input) });

for (const own of ["chat", "responses"]) {
    const runner = new Runner({ modelProvider: new OpenAIProvider({ apiKey: "sk-anything", baseURL: base, useResponses: own === "responses" }), tracingDisabled: true });
    const agent = (model, more = {}) => new Agent({ name: "a", instructions: "Be brief.", model, modelSettings: own === "responses" ? { store: false } : {}, ...more });

    each(own, `${own}: an agent with a tool comes to its end`, async (up) => {
        const whole = await runner.run(agent(`${up}/tools`, { tools: [weather] }), "weather?", { maxTurns: 4 });
        isTheEnd(whole.finalOutput);
        const streamed = await runner.run(agent(`${up}/tools`, { tools: [weather] }), "weather?", { maxTurns: 4, stream: true });
        await streamed.completed;
        isTheEnd(streamed.finalOutput);
    });

    each(own, `${own}: structured output`, async (up) => {
        const outputType = { type: "json_schema", name: "place", strict: true, schema: answerSchema };
        const result = await runner.run(agent(`${up}/json`, { outputType }), "Paris", { maxTurns: 2 });
        assert.deepEqual(result.finalOutput, { city: "Paris", population: 2 });
    });

    each(own, `${own}: errors reach the caller with their status`, async (up) => {
        const fails = (kind, right) => assert.rejects(runner.run(agent(`${up}-${kind}/${kind}`), "x", { maxTurns: 2 }), right);
        await fails("bad", (e) => e.status === 400 && /temperature is too high/.test(e.message));
    });
}
