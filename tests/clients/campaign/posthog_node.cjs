// PostHog's library for Node.
const { url, long, load, run, args } = require("./paced.cjs");
const { PostHog } = load("posthog-node");

const posthog = new PostHog(args[0], {
  host: url, ...(long ? {} : { flushAt: 5, flushInterval: 50, fetchRetryDelay: 200 }),
});
posthog.on("error", (e) => console.log(`error: ${e}`));
run((n) => posthog.capture({ distinctId: `u-${n % 7}`, event: "paid", properties: { n } }),
  () => posthog.shutdown(60000));
