// PostHog's small library for browsers, in Node.
const { url, long, load, run, args } = require("./paced.cjs");
const { PostHog } = load("posthog-js-lite");

const posthog = new PostHog(args[0], {
  host: url, ...(long ? {} : { flushAt: 5, flushInterval: 50, fetchRetryDelay: 200 }),
});
posthog.on("error", (e) => console.log(`error: ${e}`));
run((n) => posthog.capture("paid", { n }), () => posthog.shutdown(60000));
