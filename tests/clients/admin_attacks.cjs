// The admin listener's page in Chromium behind a proxy that turns against it:
// admin_attacks.cjs URL DIR TOKEN AXE
//
// Prints as JSON what the page made of each attack. AXE: the file axe.js of axe-core, or "".
// Screenshots go to DIR: hostile.png, many.png, many_320.png, zoomed.png, printed.png.
const fs = require("fs");
const [url, dir, token, axe] = process.argv.slice(2);
const chromium = require("./chromium.cjs"), proxy = require("./admin_proxy.cjs");

// The plots' data, where uPlot draws them.
const FIRST = `let real; Object.defineProperty(window, "uPlot", { get: () => real, set: (f) => {
  real = class extends f { constructor(o, d, e) { super(o, d, e); (window.plots ||= {})[e.id] = this; } };
} });`;
const HOUR = 3600e3;
const MARKUP = "<img src=x onerror=hostile=1><script>hostile=1</script>";
// Right-to-left override, NUL, a lone surrogate, a zero-width space, and much of it.
const HOSTILE = `${MARKUP}a\u202eb\u0000c\ud800d\u200be\u2066f\u001b[31m`;

proxy(url).then((p) => {
  const page = chromium(p.at, dir), { call, run, until, looks, shot, key, type } = page;
  const text = (selector) => run(`return (document.querySelector(${JSON.stringify(selector)}) `
    + "|| { textContent: '' }).textContent");
  const times = () => run("return window.plots ? plots['plot-rate'].data[0] : null");
  // Under load a step takes as long as it takes: answers are counted, not seconds.
  const changed = async (change) => { p.change = change; await looks(2); };
  const shift = (ms) => (data) => {
    data.now_ms += ms;
    for (const r of data.rows) r[0] += ms;
  };
  // So many questions more than answers that were shown since: one may be under way.
  const count = async () => p.asked - Number(await run("return document.documentElement.dataset.looks"));
  const in_order = (list) => list === null || list.every((t, i) => i === 0 || t > list[i - 1]);
  const wait = (ms) => new Promise((f) => setTimeout(f, ms));

  const steps = {
    // A new process: counters and rows begin again, those that were seen stay.
    async restart() {
      await looks(1);
      const before = await times();
      const cut = { seq: 0 };
      await changed((d, since) => {
        d.status.pid += 1;
        d.status.uptime_ms = 1500;
        cut.seq = cut.seq || d.seq - 1;
        const from = Math.max(0, since > d.seq - cut.seq ? 0 : since);
        d.rows = d.rows.slice(-(d.seq - cut.seq - from) || d.rows.length);
        d.seq -= cut.seq;
        d.first = d.seq - d.rows.length;
      });
      const after = await times();
      const out = { more: await text("#more"), raised: "", order: in_order(after),
        kept: after === null || before.every((t) => after.includes(t)),
        least: await run("return window.plots ? Math.min(...plots['plot-rate'].data.slice(1).flat()) : 0") };
      // And one with the same number.
      let epoch = 1, errors = 9;
      await changed((d) => {
        d.status.faults.hook_errors = errors;
        d.status.spool.epoch += epoch;
      });
      epoch = 2;
      errors = 2;
      await looks(2);
      errors = 5;
      await looks(2);
      out.raised = await text("#more");
      await changed(null);
      return out;
    },
    async clocks() {
      const out = {};
      for (const [name, ms] of [["forward", HOUR], ["back", -HOUR], ["little", -3000]]) {
        const from = await count();
        await changed(shift(ms));
        const list = await times();
        out[name] = { order: in_order(list), asked: await count() - from <= 2,
          long: list === null || list[list.length - 1] - list[0] < 1900 };
      }
      await changed(null);
      await run("const now = Date.now; Date.now = () => now() + 3600e3; window.undo = () => { Date.now = now; }");
      await looks(1);
      out.browser = await text("#more");
      await run("undo()");
      return out;
    },
    // The laptop slept: the tab was hidden for an hour.
    async slept() {
      const hide = (is) => run(`Object.defineProperty(document, "hidden", { get: () => ${is}, `
        + "configurable: true }); document.dispatchEvent(new Event('visibilitychange'))");
      await hide(true);
      await looks(1);
      const asked = p.asked;
      await looks(3);
      const hidden = p.asked - asked;
      p.change = (d, since) => {
        const seq = 3600 + d.seq;
        if (since < seq - d.rows.length) {
          d.first = seq - d.rows.length;
        } else {
          d.rows = d.rows.slice(d.rows.length - (seq - since) || d.rows.length);
          d.first = since;
        }
        d.seq = seq;
      };
      const from = await count();
      await hide(false);
      await looks(1);
      const out = { hidden, burst: await count() - from, order: in_order(await times()) };
      await run("delete document.hidden");
      await changed(null);
      return out;
    },
    async zone() {
      await call("Emulation.setTimezoneOverride", { timezoneId: "America/New_York" });
      // The hour that comes twice: 2026-11-01, 06:00 UTC.
      const off = 1793512800000 - Date.now();
      await changed(shift(off));
      const out = { order: in_order(await times()), said: (await text("#versions")).split(" · ").pop() };
      await call("Emulation.setTimezoneOverride", { timezoneId: "" });
      await changed(null);
      return out;
    },
    async wrong_answers() {
      const out = {};
      const json = { "content-type": "application/json" };
      const all = {
        error: (res) => res.writeHead(500, json).end("{\"detail\":\"the disk is gone\"}"),
        html: (res) => res.writeHead(502).end("<h1>Bad gateway</h1>"),
        cut: (res) => res.writeHead(200, json).end("{\"now_ms\":17"),
        login: (res) => res.writeHead(200).end("<title>Sign in</title>"),
        null: (res) => res.writeHead(200, json).end("null"),
        other: (res) => res.writeHead(200, json).end("{}"),
        reset: (res) => res.destroy(),
      };
      for (const [name, f] of Object.entries(all)) {
        p.answer = f;
        await looks(2);
        out[name] = (await text("#live")).replace(/ No (answer|figures) since [\d:]+[^.]*\./, "");
      }
      p.answer = null;
      await until("document.getElementById('live').textContent === 'live'");
      out.well = await text("#live");
      return out;
    },
    // A slow network: one question at a time, and it is no outage.
    async slow() {
      p.delay_ms = 2600;
      p.most = 0;
      await looks(2);
      await run("window.states = []; window.seen = new MutationObserver(() => states.push(live.textContent)); "
        + "seen.observe(live, { childList: true, characterData: true, subtree: true })");
      await looks(2);
      const out = { live: await text("#live"), stale: await run("return states.filter((s) => s.startsWith('stale')).length"),
        most: p.most };
      p.delay_ms = 0;
      await looks(2);
      return out;
    },
    async hostile() {
      const refusal = { route: HOSTILE, code: `${HOSTILE}.`, status: 422, events: 3 };
      await changed((d) => {
        d.status.refusals = [refusal, { ...refusal, code: "x".repeat(1 << 20) }];
        if (d.samples) d.samples = [{ ...refusal, at_ms: d.now_ms, field: HOSTILE, message: HOSTILE.repeat(20000),
          path: HOSTILE, raw: HOSTILE, bytes: 1 << 20, index: 0 }];
        for (const s of d.status.sinks) Object.assign(s, { holding: true, why: HOSTILE.repeat(20000), name: s.name + HOSTILE });
        for (const s of d.status.streams) s.name = HOSTILE;
        d.status.version = HOSTILE;
        d.status.generations = d.status.generations.map((g) => ({ ...g, why: HOSTILE, cause: HOSTILE, hash: HOSTILE }));
        d.status.trial = { kind: "canary", generation: 2, result: HOSTILE, why: HOSTILE, share: 0.1, during_ms: 1,
          began_ms: 1, old: { generation: HOSTILE }, new: { generation: HOSTILE } };
      });
      await run("document.querySelector('#refusals .link').click()");
      await until("document.getElementById('detail').open");
      const out = {
        foreign: await run("return document.querySelectorAll('main img, main script, dialog img, dialog script, "
          + "header img, header script').length + Number(window.hostile || 0)"),
        hidden: await run("return (document.body.textContent.match(/[\\u202e\\0\\ud800\\u200b\\u2066\\u001b]/g) || []).length"),
        shown: (await text("#detail-title")).slice(MARKUP.length),
        long: await run("return Math.max(...[...document.querySelectorAll('main *, dialog *, header *')].map("
          + "(e) => e.children.length ? 0 : e.textContent.length)) < 2000"),
        overflow: await shot("hostile", 1280, 900, "dark"),
      };
      await key("Escape");
      await changed(null);
      return out;
    },
    // As many as the server shows, all of which change each second.
    async many() {
      let n = 0;
      const fill = (d) => {
        n++;
        d.status.refusals = Array.from({ length: 500 }, (_, i) => ({ route: `POST /v1/route-${i % 250}`,
          code: `code_${Math.floor(i / 12)}`, status: 422, events: 1e6 - i * 10 + n }));
        d.status.refusals_more = 9500;
        d.status.sinks = Array.from({ length: 64 }, (_, i) => ({ ...d.status.sinks[0], name: `sink-${i}`,
          left_events: n + i, delivered: n * i }));
        d.status.streams = Array.from({ length: 64 }, (_, i) => ({ name: `stream-${i}`, bytes: n * i, max_bytes: 1e6,
          used_percent: i === 7 ? 85 : 1 }));
      };
      await changed(fill);
      await shot("many", 1280, 900, "light");
      const out = { rows: await run("return document.querySelectorAll('#refusals tbody tr').length") };
      out.full = await run("return document.querySelector('#spool-body .meter').ariaLabel");
      // The focus and the filter stay while figures change.
      await run("document.querySelectorAll('#refusals .link')[5].focus(); window.held = document.activeElement.dataset.key");
      await looks(2);
      out.focus = await run("return held === document.activeElement.dataset.key && held !== undefined");
      await run("document.getElementById('filter').focus()");
      await type("code_17");
      await looks(1);
      out.filtered = await run("return [...document.querySelectorAll('#refusals .link')].every((e) => e.textContent === 'code_17') "
        + "&& document.querySelectorAll('#refusals .link').length");
      await run("const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input')); "
        + "document.querySelector('#refusals .more').click()");
      out.all = await run("return document.querySelectorAll('#refusals tbody tr').length");
      // A tick right after the other.
      await run("const f = window.setTimeout; window.setTimeout = (g, ms) => f(g, ms === 1000 ? 0 : ms); "
        + "window.undo = () => { window.setTimeout = f; }; window.moved = 0; window.eye = new PerformanceObserver((l) => {"
        + "for (const e of l.getEntries()) moved += e.value; }); eye.observe({ type: 'layout-shift' })");
      const size = async () => {
        await call("HeapProfiler.collectGarbage");
        await call("HeapProfiler.collectGarbage");
        return [(await call("Runtime.getHeapUsage")).usedSize, (await call("Memory.getDOMCounters")).nodes];
      };
      await looks(20);
      const before = await size();
      const cpu = async () => (await call("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value;
      await call("Performance.enable");
      const began = await cpu(), ticks = Number(process.env.SLUICE_PAGE_TICKS || 60);
      for (let i = 0; i < ticks; i += 20) await looks(Math.min(20, ticks - i));
      out.tick_ms = Math.round(1000 * (await cpu() - began) / ticks);
      const after = await size();
      out.grew = [Math.round((after[0] - before[0]) / 1024), after[1] - before[1]];
      out.moved = await run("undo(); return moved");
      out.overflow = await shot("many_320", 320, 640, "dark");
      // 200 %: half as many pixels of CSS.
      out.zoomed = await shot("zoomed", 640, 400, "light");
      await run("document.querySelector('#refusals .more').click()");
      await changed(null);
      return out;
    },
    // What a screen reader is told while a backlog grows each second: nothing.
    async announced() {
      let n = 0;
      await changed((d) => {
        n++;
        Object.assign(d.status.sinks[0], { left_events: 1000 + 7 * n, oldest_ms: 1000 * n, dead: n });
      });
      await run("window.told = 0; new MutationObserver(() => told++).observe(document.getElementById('said'), "
        + "{ childList: true, characterData: true, subtree: true })");
      await looks(4);
      const quiet = await run("return told");
      // A link whose words change each second, and one after it.
      p.change = (d) => {
        n++;
        Object.assign(d.status.sinks[0], { holding: false, left_events: 1000, linger_ms: 0,
          oldest_ms: 61000 + 1000 * n, dead: 7 });
      };
      await until("[...document.querySelectorAll('#more a')].some((e) => / behind$/.test(e.textContent))");
      const focus = [];
      for (const part of [" behind", "became dead letters"]) {
        await run(`[...document.querySelectorAll('#more a')].find((e) => e.textContent.includes("${part}")).focus()`);
        await looks(2);
        focus.push(await run(`return document.activeElement.textContent.includes("${part}")`));
      }
      p.answer = (res) => res.writeHead(500).end();
      await looks(2);
      p.answer = null;
      const out = { quiet, focus, stale: await text("#said"),
        live: await run("return document.querySelectorAll('[aria-live], [role=status]').length") };
      await changed(null);
      return out;
    },
    async printed() {
      await shot("light", 800, 600, "light");
      await call("Emulation.setEmulatedMedia", { media: "print" });
      const pdf = await call("Page.printToPDF", { printBackground: true });
      fs.writeFileSync(`${dir}/printed.pdf`, Buffer.from(pdf.data, "base64"));
      const out = await run("return getComputedStyle(document.querySelector('nav')).display");
      await call("Emulation.setEmulatedMedia", { media: "" });
      return out;
    },
    async axe() {
      if (!axe) return null;
      const source = fs.readFileSync(axe, "utf8"), found = [];
      const look = async (where) => {
        await run(`if (!window.axe) { ${source} }`);
        found.push(...(await run("return (await axe.run()).violations.map((v) => v.id + ': ' "
          + "+ v.nodes.map((n) => n.target + ' ' + (n.any[0] || n.all[0] || n.none[0] || {}).message).join(', '))"))
          .map((v) => `${where} ${v}`));
      };
      for (const scheme of ["light", "dark"]) {
        await shot("axe", 1280, 900, scheme);
        await look(scheme);
        await run("document.querySelector('#refusals .link').click()");
        await until("document.getElementById('detail').open");
        await run("document.getElementById('to-line').click()");
        await until("document.querySelector('#lines > *')");
        await look(`${scheme}, detail:`);
        await key("Escape");
      }
      return found;
    },
    // The token is changed while a refusal is open: the page asks, and leads back to it.
    async token() {
      p.far = true;
      await looks(2);
      const enter = async (what) => {
        await run("document.getElementById('token-text').focus()");
        await type(what);
        await key("Enter");
        await looks(2);
      };
      await run("document.querySelector('#refusals .link').click()");
      await until("document.getElementById('detail').open");
      const code = await text("#detail-title");
      await run("document.querySelector('#detail .empty button').click()");
      await enter(token);
      await until("document.getElementById('to-line') !== null");
      const out = { before: true };
      p.no_token = true;
      await until("document.getElementById('token').open");
      out.why = await text("#token-why");
      p.no_token = false;
      await enter(token);
      await until("document.getElementById('detail').open");
      out.back = await text("#detail-title") === code;
      await key("Escape");
      out.keys = await run("return Object.keys(sessionStorage)");
      p.far = false;
      return out;
    },
  };

  page.main(async () => {
    const said = { complaints: [], asked: [] };
    await page.open(said, () => {}, {}, FIRST);
    const only = (process.env.SLUICE_PAGE_STEPS || "").split(" ").filter((x) => x);
    for (const name of only.length ? only : Object.keys(steps)) {
      try { said[name] = await steps[name](); } catch (e) { said[name] = String(e.stack || e); }
      Object.assign(p, { answer: null, change: null, delay_ms: 0, far: false, no_token: false });
    }
    // A server that answers 500, or that is gone, is a complaint of the browser itself.
    said.complaints = said.complaints.filter((c) => !/^Failed to load resource/.test(c));
    return said;
  });
});
