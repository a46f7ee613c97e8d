// The CloudEvents SDK. It does not send again by itself, so that its caller does.
const { url, load, run, sleep } = require("./paced.cjs");
const { CloudEvent, HTTP, emitterFor, httpTransport } = load("cloudevents");

const emit = emitterFor(httpTransport(`${url}/events`), { binding: HTTP });
const sent = [];
const insist = async (event) => {
  for (let tries = 0; tries < 400; tries++) {
    try {
      if (JSON.parse((await emit(event)).body).accepted === 1) return;
    } catch { /* the server is not there */ }
    await sleep(50);
  }
  throw new Error("never accepted");
};
run((n) => { sent.push(insist(new CloudEvent({
  source: "/shop", type: "com.example.paid", id: `e-${n}`, data: { n } }))); },
() => Promise.all(sent));
