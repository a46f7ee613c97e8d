// A page of another origin in Chromium: page.cjs FOLDER URL DIR N PAGE [KEY]
//
// FOLDER: of a package's scripts, which the page gets at /lib/. PAGE: tests/clients/pages/
// PAGE.html, in which URL, KEY and TOTAL are filled in. What the page posts to /log is
// printed. The browser ends when the page posts to /done, or when the file DIR/stop is
// there.
const [folder, url, dir, total, name, key] = process.argv.slice(2);
const { spawn } = require("child_process");
const fs = require("fs");
const http = require("http");
const path = require("path");

const types = { ".js": "text/javascript", ".html": "text/html; charset=utf-8" };
const filled = (page) =>
  fs.readFileSync(path.join(__dirname, "pages", page), "utf8")
    .replaceAll("URL_OF_SERVER", url).replaceAll("KEY_OF_SERVER", key)
    .replaceAll("TOTAL_EVENTS", total);

let browser;
const end = () => browser.kill("SIGKILL");
const send = (res, text, type) => {
  res.setHeader("Content-Type", type);
  res.end(text);
};
const server = http.createServer((req, res) => {
  const file = path.basename(new URL(req.url, "http://x").pathname);
  if (req.method === "POST") {
    let text = "";
    req.on("data", (part) => { text += part; });
    req.on("end", () => {
      res.end();
      console.log(text);
      if (file === "done") end();
    });
  } else if (file === "go") {
    const go = path.join(dir, "go");
    send(res, fs.existsSync(go) ? fs.readFileSync(go, "utf8") : "0", "text/plain");
  } else if (req.url.startsWith("/lib/")) {
    const script = path.join(folder, file);
    res.statusCode = fs.existsSync(script) ? 200 : 404;
    send(res, fs.existsSync(script) ? fs.readFileSync(script) : "", types[".js"]);
  } else {
    send(res, file === "favicon.ico" ? "" : filled(`${name}.html`), types[".html"]);
  }
});
server.listen(0, "127.0.0.1", () => {
  const port = server.address().port;
  browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu",
    "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--disable-extensions", `--user-data-dir=${path.join(dir, "profile")}`,
    `http://127.0.0.1:${port}/`], { stdio: "ignore" });
  const timer = setInterval(() => {
    if (fs.existsSync(path.join(dir, "stop"))) end();
  }, 20);
  browser.on("exit", () => {
    clearInterval(timer);
    server.close();
    server.closeAllConnections();
    process.exit(0);
  });
});
