// The admin listener's page in Chromium: admin.cjs URL DIR [TOKEN]
//
// Opens the page, looks at it as an operator would, and prints as JSON what it found.
// Screenshots go to DIR: light.png, dark.png, narrow.png, line.png. Chromium is driven
// through a pipe, by its own protocol.
const [url, dir, token] = process.argv.slice(2);
const { spawn } = require("child_process");
const fs = require("fs");
const path = require("path");

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
const until = (what) => run(`while (!(${what})) await new Promise((go) => setTimeout(go, 20));`);
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

(async () => {
  const said = { complaints: [], asked: [] };
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
      if (!at.startsWith("data:") && !at.startsWith(url)) said.asked.push(at);
    } else if (m.method === "Page.javascriptDialogOpening") {
      said.complaints.push(`a dialog: ${m.params.message}`);
      call("Page.handleJavaScriptDialog", { accept: true });
    }
  });
  for (const part of ["Page", "Runtime", "Log", "Network"]) await call(`${part}.enable`);
  await call("Page.navigate", { url: `${url}/` });
  await until("document.readyState === 'complete'");
  await looks(1);
  if (token) {
    said.before = await run("return document.querySelectorAll('#refusals-body .link').length");
    await run(`document.querySelector("#refusals-body .link").click();
      document.querySelector("#detail .empty button").click();
      document.getElementById("token-text").value = ${JSON.stringify(token)};
      document.querySelector("#token .main").click();`);
    await looks(1);
  }
  said.overflow = [await shot("light", 1280, 900, "light"), await shot("dark", 1280, 900, "dark"),
    await shot("narrow", 360, 740, "light")];
  await shot("light", 1280, 900, "light");
  said.lost = await run("return document.getElementById('lost').textContent");
  said.state = await run("return document.getElementById('verdict').dataset.state");
  said.live = await run("return document.getElementById('live').textContent");
  said.uplot = await run("return typeof uPlot === 'function' && "
    + "document.querySelectorAll('.plot canvas').length");
  said.plain = await run("return document.querySelectorAll('.plot svg').length");
  said.sinks = await run("return [...document.querySelectorAll('#sinks tbody th')].map("
    + "(e) => e.textContent)");
  said.codes = await run("return [...document.querySelectorAll('#refusals tbody tr')].map((e) => "
    + "[...e.children].map((c) => c.textContent))");
  // Nothing of a client became an element or ran.
  said.foreign = await run("return document.querySelectorAll('main img, main script, main b b, "
    + "dialog img, dialog script').length + Number(window.hostile || 0)");
  // Sorted with the keyboard: the head of the first column.
  await run("document.querySelector('#refusals thead button').focus()");
  await key("Enter");
  said.sort = await run("return document.querySelector('#refusals thead th').ariaSort");
  said.outline = await run("return getComputedStyle(document.activeElement).outlineStyle");
  // Two clicks from each refusal to the line.
  said.places = {};
  const n = await run("return document.querySelectorAll('#refusals .link').length");
  for (let i = 0; i < n; i++) {
    await run(`document.querySelectorAll('#refusals .link')[${i}].click()`);
    const code = await run("return document.getElementById('detail-title').textContent "
      + "+ ' ' + document.querySelector('#detail .quiet').textContent.split(' · ')[0]");
    const raw = await run("return (document.querySelector('#detail .raw') || {}).textContent || ''");
    const button = await run("return document.getElementById('to-line') !== null");
    if (button) {
      await run("document.getElementById('to-line').click()");
      await until("document.querySelector('#lines > *')");
    }
    const at = await run("return (document.querySelector('#lines h3') || {}).textContent || ''");
    const line = await run("return (document.querySelector('#lines .here') || {}).innerText || ''");
    said.places[code] = { raw, at, line: line.replace(/^\d+/, "").trim() };
    if (line && !said.shown) {
      said.shown = true;
      await shot("line", 1280, 900, "light");
    }
    await key("Escape");
    await until("!document.getElementById('detail').open");
  }
  said.foreign += await run("return document.querySelectorAll('dialog img, dialog script').length + "
    + "Number(window.hostile || 0)");
  console.log(JSON.stringify(said));
  browser.kill("SIGKILL");
  process.exit(0);
})().catch((e) => {
  console.log(JSON.stringify({ error: String(e.stack || e) }));
  browser.kill("SIGKILL");
  process.exit(1);
});
