// Sends by PostHog's library for Node.js, unmodified, and prints what it says of errors.
import { PostHog } from "posthog-node";

const [host, key, user, uuid] = process.argv.slice(2);
const failures = [];
const client = new PostHog(key, { host, flushAt: 3, flushInterval: 50, fetchRetryDelay: 100 });
client.on("error", (error) => failures.push(String(error)));
client.identify({ distinctId: user, properties: { plan: "gold" } });
client.capture({ distinctId: user, event: "signup", properties: { plan: "gold" }, uuid });
client.capture({ distinctId: user, event: "signup", uuid });
await client.shutdown(30000);
console.log(JSON.stringify(failures));
