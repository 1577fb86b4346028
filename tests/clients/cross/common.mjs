// What the scripts here share: where Portolan is, which upstreams stand behind it, and the tool that the conversations need.
import assert from "node:assert/strict";
import { test } from "node:test";

export const base = process.env.PORTOLAN_BASE; // ends in /v1
export const root = base.replace(/\/v1$/, "");

/** The upstreams that speak another dialect than the client. */
export const upstreams = (own) => process.env.PORTOLAN_UPSTREAMS.split(",").filter((name) => name !== own);

export const citySchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
export const answerSchema = { type: "object", properties: { city: { type: "string" }, population: { type: "number" } }, required: ["city", "population"], additionalProperties: false };
const degrees = { Paris: "18 degrees", Rome: "25 degrees" };
export const lookUp = ({ city }) => degrees[city];

/** Both results came back to the model, and it said them. */
export const isTheEnd = (text) => assert.match(text, /The tool said: 18 degrees, 25 degrees/);

/** A test with one part for each upstream, all at the same time: `body(upstream)` runs. */
export function each(own, what, body) {
    test(what, { concurrency: true }, (t) => Promise.all(upstreams(own).map((upstream) => t.test(`${upstream} upstream`, () => body(upstream)))));
}
