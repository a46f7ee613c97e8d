// The CloudEvents SDK against a server: cloudevents.cjs FOLDER URL STOP OUT
//
// Each event goes out in binary, structured and batched mode, until the server says
// that it took it: the SDK itself does not try again. This goes on until the file
// STOP is there. OUT gets a line for each event, its JSON as the SDK writes it.
const [folder, url, stop, out] = process.argv.slice(2);
const fs = require("fs");
const { CloudEvent, HTTP, Mode, emitterFor, httpTransport } = require(
  require.resolve("cloudevents", { paths: [folder] }));

const transport = httpTransport(url);
const binary = emitterFor(transport, { binding: HTTP, mode: Mode.BINARY });
const structured = emitterFor(transport, { binding: HTTP, mode: Mode.STRUCTURED });
const batched = (events) => transport({
  headers: { "content-type": "application/cloudevents-batch+json" },
  body: JSON.stringify(events),
});

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));
let again = 0;
const insist = async (send, n) => {
  for (let tries = 0; tries < 400; tries++) {
    try {
      const answer = await send();
      if (JSON.parse(answer.body).accepted === n) return;
      if (JSON.parse(answer.body).code) console.error(answer.body);
    } catch { /* the server is not there */ }
    again++;
    await sleep(50);
  }
  throw new Error("never accepted");
};

const data = [
  ["application/json", (i) => ({ n: i, price: i / 7, none: null, list: [1, [i]], text: "é 😀 \"q\"" })],
  ["application/vnd.shop+json", (i) => [i, { a: {} }]],
  ["text/plain", (i) => `line ${i}\nnext é "quoted"`],
  ["application/xml", (i) => `<much wow="${i}"/>`],
  ["application/octet-stream", (i) => new Uint8Array([0, 255, 128, i & 255, 10])],
  [undefined, (i) => ({ implied: i })],
];
const make = (i) => {
  const [datacontenttype, value] = data[i % data.length];
  return new CloudEvent({
    source: "/shop/orders?x=1", type: "com.example.paid", id: `e-${i}`,
    subject: "order \"7\" of 10", time: new Date(1.7e12 + i).toISOString(),
    dataschema: "https://example.com/schema", traceparent: `00-${i}-01`,
    ...(datacontenttype ? { datacontenttype } : {}), data: value(i),
  });
};

(async () => {
    const lines = [];
  let i = 0;
  while (!fs.existsSync(stop)) {
    const events = Array.from({ length: 12 }, () => make(i++));
    await Promise.all([
      ...events.map((e) => insist(() => binary(e), 1)),
      ...events.map((e) => insist(() => structured(e), 1)),
      insist(() => batched(events), events.length),
    ]);
    for (const e of events) lines.push(JSON.stringify(e));
    await sleep(40);
  }
  fs.writeFileSync(out, lines.join("\n") + "\n");
  console.log(`events=${i} again=${again}`);
})();
