// Makes, locks, stores and reads a session at the server whose URL it is given, with the types that
// openapi-typescript makes of the contract.
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

type Problem = components["schemas"]["Problem"];

async function run(baseUrl: string): Promise<void> {
  const client = createClient<paths>({ baseUrl });
  const app = "default";
  const item = (text: string) => ({ body: text, bodySerializer: () => text, parseAs: "text" as const });

  const made = await client.POST("/v1/apps/{app}/sessions", {
    params: { path: { app } }, body: "one", bodySerializer: () => "one",
  });
  const id: string | undefined = made.data?.id;
  if (id === undefined) throw new Error(`create: ${made.response.status}`);

  const path = { app, id };
  const locked = await client.POST("/v1/apps/{app}/sessions/{id}/lock", {
    params: { path, query: { wait: "1s" } }, parseAs: "text",
  });
  const lock = locked.response.headers.get("Session-Lock") ?? "";
  const refused = await client.GET("/v1/apps/{app}/sessions/{id}", { params: { path }, parseAs: "text" });
  const problem: Problem | undefined = refused.error;
  if (refused.response.status !== 423 || problem?.outcome !== "not-applied") {
    throw new Error(`read beside the lock: ${refused.response.status}`);
  }
  const stored = await client.PUT("/v1/apps/{app}/sessions/{id}", {
    params: { path, header: { "Session-Lock": lock } }, ...item("two"),
  });
  if (stored.response.status !== 204) throw new Error(`store: ${stored.response.status}`);
  const read = await client.GET("/v1/apps/{app}/sessions/{id}", { params: { path }, parseAs: "text" });
  if (String(read.data) !== "two") throw new Error(`read: ${read.response.status} ${read.data}`);
}

await run(process.argv[2] ?? "");
console.log("as stored");
