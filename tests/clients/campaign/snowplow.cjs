// Snowplow's tracker for Node: snowplow.cjs ... get|post
const { url, load, run, args, sleep } = require("./paced.cjs");
const { newTracker, buildStructEvent } = load("@snowplow/node-tracker");

let open = 0;
const tracker = newTracker({ namespace: "n", appId: "shop" }, {
  endpoint: url, eventMethod: args[0], bufferSize: 5,
  onRequestSuccess: (events) => { open -= events.length; },
  onRequestFailure: (why) => console.log(`error: ${why.status} ${why.message}`),
});
run((n) => {
  open++;
  tracker.track(buildStructEvent({ category: "shop", action: "paid", value: n }));
}, async () => {
  // The tracker keeps what was not taken until the next event, or the next flush.
  while (open > 0) {
    await tracker.flush();
    await sleep(20);
  }
});
