// Segment's library for Node.
const { url, long, load, run, args } = require("./paced.cjs");
const { Analytics } = load("@segment/analytics-node");

const analytics = new Analytics({
  writeKey: args[0], host: url, ...(long ? {} : { flushAt: 5, flushInterval: 50 }),
});
analytics.on("error", (e) => console.log(`error: ${e.reason ?? e}`));
run((n) => analytics.track({ userId: `u-${n % 7}`, event: "Paid", properties: { n } }),
  () => analytics.closeAndFlush({ timeout: 60000 }));
