// Sends by Segment's library for Node.js, unmodified, and prints what it says of each call.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey, user, message] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushAt: 3, flushInterval: 100, maxRetries: 5 });
const failures = [];
analytics.on("error", (error) => failures.push(`${error.code}: ${error.reason}`));
const told = (call) => new Promise((done) => call(() => done()));
await Promise.all([
  told((done) => analytics.identify({ userId: user, traits: { plan: "gold", firstName: "Ada" } }, done)),
  told((done) => analytics.track({ userId: user, event: "signup", properties: { plan: "gold" }, messageId: message }, done)),
  told((done) => analytics.track({ userId: user, event: "signup", messageId: message }, done)),
]);
await analytics.closeAndFlush({ timeout: 20000 });
console.log(JSON.stringify(failures));
