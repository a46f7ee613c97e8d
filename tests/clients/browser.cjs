// A page of another origin in Chromium, with Segment's browser library:
// browser.cjs FOLDER URL KEY PROFILE
//
// Calls go out one by one, in a batch, by a fetch that the browser asks about before
// (OPTIONS), and by a beacon. Prints what the page could read of the answers.
const [folder, url, key, profile] = process.argv.slice(2);
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const path = require("path");

const scripts = path.join(
  path.dirname(require.resolve("@segment/analytics-next/package.json",
    { paths: [folder] })), "dist", "umd");

const page = `<!doctype html><title>t</title><script src="/index.js"></script><script>
const host = ${JSON.stringify(url.replace("http://", ""))};
const load = (extra) => {
  const a = new AnalyticsNext.AnalyticsBrowser();
  a.load({ writeKey: "${key}", cdnSettings: { integrations: { "Segment.io": {
    apiKey: "${key}", apiHost: host + "/v1", protocol: "http", ...extra } } } });
  return a;
};
(async () => {
  const said = {};
  try {
    const single = load({});
    await single.identify("u-1", { plan: "pro" });
    await single.track("Seen é", { n: 1.5, list: [1, { a: null }] });
    await single.page("Home");
    const many = load({ deliveryStrategy: { strategy: "batching",
      config: { size: 3, timeout: 200 } } });
    await Promise.all([1, 2, 3].map((n) => many.track("Batched", { n })));
    const own = await fetch("${url}/v1/track", { method: "POST",
      headers: { "Content-Type": "application/json", Authorization: "Basic ${
        Buffer.from(key + ":").toString("base64")}" },
      body: JSON.stringify({ userId: "u-2", event: "Fetched" }) });
    said.fetched = { status: own.status, body: await own.text() };
    const bad = await fetch("${url}/v1/track", { method: "POST",
      headers: { "Content-Type": "text/plain" }, body: "{" });
    said.bad = { status: bad.status, body: await bad.json() };
    said.beacon = navigator.sendBeacon("${url}/v1/t",
      JSON.stringify({ writeKey: "${key}", userId: "u-3", event: "Left" }));
    await new Promise((go) => setTimeout(go, 500));
  } catch (e) { said.error = String(e); }
  await fetch("/done", { method: "POST", body: JSON.stringify(said) });
})();
</script>`;

let browser;
const server = http.createServer((req, res) => {
  if (req.url === "/done") {
    let text = "";
    req.on("data", (part) => { text += part; });
    req.on("end", () => {
      res.end();
      console.log(text);
      browser.kill("SIGKILL");
    });
  } else if (req.url === "/") {
    res.setHeader("Content-Type", "text/html; charset=utf-8");
    res.end(page);
  } else {
    const file = path.join(scripts, path.basename(req.url));
    res.statusCode = fs.existsSync(file) ? 200 : 404;
    res.end(fs.existsSync(file) ? fs.readFileSync(file) : "");
  }
});
server.listen(0, "127.0.0.1", () => {
  browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu",
    "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    `--user-data-dir=${profile}`, `http://127.0.0.1:${server.address().port}/`],
  { stdio: "ignore" });
  browser.on("exit", () => {
    server.close();
    process.exit(0);
  });
});
