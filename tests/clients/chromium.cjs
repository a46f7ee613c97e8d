// Chromium for the tests of the admin listener's page, driven through a pipe by its own
// protocol: require(...)(url, dir) -> { call, open, run, until, looks, shot, key, type, main }.
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

module.exports = (url, dir) => {
  const browser = spawn("chromium", ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions", "--hide-scrollbars",
    "--remote-debugging-pipe", `--user-data-dir=${path.join(dir, "profile")}`, "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

  let id = 0, rest = "";
  const waiting = new Map(), listeners = [];
  browser.stdio[4].on("data", (part) => {
    const list = (rest + part).split("\0");
    rest = list.pop();
    for (const text of list) {
      const m = JSON.parse(text);
      if (m.id) {
        const { go, stop } = waiting.get(m.id);
        waiting.delete(m.id);
        if (m.error) stop(new Error(m.error.message)); else go(m.result);
      } else {
        for (const f of listeners) f(m);
      }
    }
  });
  let session;
  const call = (method, params = {}) => new Promise((go, stop) => {
    waiting.set(++id, { go, stop });
    browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
  });

  async function run(code) {
    const r = await call("Runtime.evaluate", { expression: `(async () => { ${code} })()`,
      awaitPromise: true, returnByValue: true });
    if (r.exceptionDetails) {
      throw new Error(r.exceptionDetails.exception.description || r.exceptionDetails.text);
    }
    return r.result.value;
  }

  // The page calls back when it has shown an answer of the server.
  const until = (what) => run(`const till = Date.now() + 60000;
    while (!(${what})) {
      if (Date.now() > till) throw new Error("waited in vain");
      await new Promise((go) => setTimeout(go, 20));
    }`).catch((e) => { throw new Error(`${e.message}: ${what}`); });
  const looks = async (n) => {
    const now = Number(await run("return document.documentElement.dataset.looks || 0"));
    await until(`Number(document.documentElement.dataset.looks || 0) >= ${now + n}`);
  };

  async function shot(name, width, height, scheme) {
    await call("Emulation.setEmulatedMedia", { features: [
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: "reduce" }] });
    await call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1,
      mobile: width < 600 });
    await run("dispatchEvent(new Event('resize'))");
    const overflow = await run("return document.documentElement.scrollWidth - innerWidth");
    const image = await call("Page.captureScreenshot", { captureBeyondViewport: true });
    fs.writeFileSync(path.join(dir, `${name}.png`), Buffer.from(image.data, "base64"));
    return overflow;
  }

  const key = async (name) => {
    for (const type of ["keyDown", "keyUp"]) {
      await call("Input.dispatchKeyEvent", { type, key: name, code: name,
        windowsVirtualKeyCode: { Tab: 9, Enter: 13, Escape: 27 }[name],
        text: name === "Enter" && type === "keyDown" ? "\r" : undefined });
    }
  };
  const type = (text) => call("Input.insertText", { text });

  // Goes to the page; said gets what it complains of and asks for elsewhere, and seen each
  // request. first: a script that runs before those of the page.
  const open = async (said, seen = () => {}, headers = {}, first = "") => {
    const { targetInfos } = await call("Target.getTargets");
    const target = targetInfos.find((t) => t.type === "page").targetId;
    session = (await call("Target.attachToTarget", { targetId: target, flatten: true })).sessionId;
    listeners.push((m) => {
      if (m.method === "Runtime.exceptionThrown") {
        said.complaints.push(m.params.exceptionDetails.exception.description);
      } else if (m.method === "Log.entryAdded" && m.params.entry.level === "error") {
        said.complaints.push(m.params.entry.text);
      } else if (m.method === "Network.requestWillBeSent") {
        const at = m.params.request.url;
        seen(m.params.request);
        if (!at.startsWith("data:") && !at.startsWith(url)) said.asked.push(at);
      } else if (m.method === "Page.javascriptDialogOpening") {
        said.complaints.push(`a dialog: ${m.params.message}`);
        call("Page.handleJavaScriptDialog", { accept: true });
      }
    });
    for (const part of ["Page", "Runtime", "Log", "Network"]) await call(`${part}.enable`);
    await call("Network.setExtraHTTPHeaders", { headers });
    if (first) await call("Page.addScriptToEvaluateOnNewDocument", { source: first });
    await call("Page.navigate", { url: `${url}/` });
    await until("document.readyState === 'complete'");
    await looks(1);
  };

  // Runs f, prints what it found as JSON, and ends.
  const main = (f) => f().then((said) => {
    console.log(JSON.stringify(said));
    browser.kill("SIGKILL");
    process.exit(0);
  }, (e) => {
    console.log(JSON.stringify({ error: String(e.stack || e) }));
    browser.kill("SIGKILL");
    process.exit(1);
  });
  return { call, open, run, until, looks, shot, key, type, main };
};
