// Sends an event by the CloudEvents library for Node.js, unmodified, in each of its modes.
import { CloudEvent, emitterFor, httpTransport, Mode } from "cloudevents";

const [host, key, user, id] = process.argv.slice(2);
const event = new CloudEvent({ id, type: "order", source: "/shop", subject: user, data: { amount: 5.5 } });
const answers = [];
for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
  const emit = emitterFor(httpTransport(`${host}/v1/cloudevents`), { mode });
  const answer = await emit(event, { headers: { Authorization: `Bearer ${key}` } });
  answers.push(JSON.parse(answer.body));
}
console.log(JSON.stringify(answers));
