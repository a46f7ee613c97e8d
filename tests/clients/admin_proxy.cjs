// A reverse proxy in front of the admin listener, under the path /sluice/, that a test turns
// against the page: require(...)(url) -> { at, ... }; resolves when it listens.
//
// change(data): alters the figures of an answer; answer(res): answers instead; delay_ms: before
// each answer; no_token: takes the token away; far: the browser is on another machine.
const http = require("http");

module.exports = (url) => new Promise((go) => {
  const p = { asked: 0, under_way: 0, most: 0, delay_ms: 0, change: null, answer: null,
    no_token: false, far: false, at: "" };
  const wait = (ms) => new Promise((f) => setTimeout(f, ms));

  const real = (path, headers) => new Promise((f, bad) => {
    http.get(`${url}${path}`, { headers }, (res) => {
      const parts = [];
      res.on("data", (x) => parts.push(x)).on("end", () => f([res, Buffer.concat(parts)])).on("error", bad);
    }).on("error", bad);
  });

  const server = http.createServer(async (req, res) => {
    if (!req.url.startsWith("/sluice/")) {
      res.writeHead(404).end("not of sluice");
      return;
    }
    const path = req.url.slice("/sluice".length), headers = { ...req.headers };
    delete headers.host;
    if (p.no_token) delete headers["sluice-token"];
    if (p.far) headers["x-forwarded-for"] = "192.0.2.9";
    const figures = path.startsWith("/page.json");
    if (figures) {
      p.asked++;
      p.most = Math.max(p.most, ++p.under_way);
      await wait(p.delay_ms);
      p.under_way--;
      if (p.answer) { p.answer(res); return; }
    }
    try {
      let [from, body] = await real(path, headers);
      const out = { ...from.headers };
      if (figures && p.change) {
        const data = JSON.parse(body);
        p.change(data, Number(/since=(\d+)/.exec(path)[1]));
        body = Buffer.from(typeof data.text === "string" ? data.text : JSON.stringify(data));
        out["content-length"] = body.length;
      }
      res.writeHead(from.statusCode, out).end(body);
    } catch {
      res.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
    }
  });
  server.listen(0, "127.0.0.1", () => {
    p.at = `http://127.0.0.1:${server.address().port}/sluice`;
    go(p);
  });
});
