// Segment's own library against a server: segment.cjs FOLDER URL KEY STOP OUT [gzip]
//
// Calls of every kind go out at a steady rate until the file STOP is there. OUT gets a
// line for each that the library says is delivered, with the event as it sent it, and
// one with the error for each that is not.
// gzip: through the library's httpClient option, with the body compressed.
const [folder, host, writeKey, stop, out, how] = process.argv.slice(2);
const fs = require("fs");
const zlib = require("zlib");
const { Analytics } = require(
  require.resolve("@segment/analytics-node", { paths: [folder] }));

const packed = {
  makeRequest: (o) => fetch(o.url, {
    method: o.method,
    headers: { ...o.headers, "Content-Encoding": "gzip" },
    body: zlib.gzipSync(o.body),
  }),
};
const analytics = new Analytics({
  writeKey, host, flushAt: 15, flushInterval: 100, maxRetries: 20,
  ...(how === "gzip" ? { httpClient: packed } : {}),
});

const sent = new Map(); // the last text of each event that went out, by messageId
let requests = 0;
analytics.on("http_request", ({ body }) => {
  requests++;
  const whole = JSON.parse(body);
  for (const e of whole.batch) sent.set(e.messageId, JSON.stringify(e));
});
const lines = [];
const done = (error, context) => {
  const id = context.event.messageId;
  lines.push(JSON.stringify(error ? { id, error: String(error) }
    : { id, text: sent.get(id) }));
};

const call = (i) => {
  const userId = `user-${i % 50}`;
  const odd = {
    n: i, price: i / 7, tiny: 1e-7 * i, big: 2 ** 53 - i, none: null, yes: true,
    text: "é \u2028 \"quoted\" \\ \u0001 😀", list: [1, [2, { deep: i }], []],
    empty: {}, when: new Date(1.7e12 + i),
  };
  switch (i % 6) {
  case 0: analytics.track({ userId, event: "Order Paid", properties: odd }, done); break;
  case 1: analytics.identify({ userId, traits: odd }, done); break;
  case 2: analytics.page({ anonymousId: `a-${i}`, name: "Home", properties: odd }, done); break;
  case 3: analytics.screen({ userId, name: "Main", properties: odd }, done); break;
  case 4: analytics.group({ userId, groupId: "g", traits: odd }, done); break;
  default: analytics.alias({ userId, previousId: `old-${i}` }, done);
  }
};

let i = 0;
const timer = setInterval(async () => {
  if (!fs.existsSync(stop)) {
    for (let k = 0; k < 6; k++) call(i++);
    return;
  }
  clearInterval(timer);
  await analytics.closeAndFlush({ timeout: 60000 });
  fs.writeFileSync(out, lines.join("\n") + "\n");
  console.log(`calls=${i} answers=${lines.length} requests=${requests}`);
}, 25);
