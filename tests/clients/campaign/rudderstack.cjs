// RudderStack's library for Node. It sends again three times by itself.
const { url, long, load, run, args, sleep } = require("./paced.cjs");
const Analytics = load("@rudderstack/rudder-sdk-node");

const analytics = new Analytics(args[0], {
  dataPlaneUrl: url, logLevel: "error",
  // Its three tries take less than a restart on a busy machine.
  ...(long ? {} : { flushAt: 5, flushInterval: 50, retryCount: 12 }),
  errorHandler: (e) => console.log(`error: ${e}`),
});
let open = 0;
const done = () => { open--; };
run((n) => {
  open++;
  analytics.track({ userId: `u-${n % 7}`, event: "Paid", properties: { n } }, done);
}, async () => {
  while (open > 0) {
    await analytics.flush();
    await sleep(20);
  }
});
