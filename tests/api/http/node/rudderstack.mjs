// Sends by RudderStack's library for Node.js, unmodified, and prints what it says of errors.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";

const [dataPlaneUrl, writeKey, user, messageId] = process.argv.slice(2);
const Client = RudderAnalytics.default ?? RudderAnalytics;
const failures = [];
const client = new Client(writeKey, {
  dataPlaneUrl,
  flushAt: 3,
  retryCount: 5,
  errorHandler: (error) => failures.push(String(error)),
});
client.identify({ userId: user, traits: { plan: "gold", firstName: "Ada" } });
client.track({ userId: user, event: "signup", properties: { plan: "gold" }, messageId });
client.track({ userId: user, event: "signup", messageId });
await client.flush();
console.log(JSON.stringify(failures));
