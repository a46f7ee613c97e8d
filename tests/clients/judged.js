// Put into the live page by a spec: window.judged.
//
// contrast(): texts whose contrast with what is behind them is below 4.5, or 3 where they are
// large, as "what: ratio". Colours are laid over each other as they are painted.
// rows(after): of all rows that the page has how many gaps, and whether they are in order; of
// those after that time the least and the greatest rate.
window.judged = (() => {
  const parse = (text) => {
    const srgb = /^color\(srgb ([\d.e+-]+) ([\d.e+-]+) ([\d.e+-]+)(?: \/ ([\d.e+-]+))?\)/.exec(text);
    if (srgb) return [...srgb.slice(1, 4).map((v) => 255 * v), srgb[4] === undefined ? 1 : Number(srgb[4])];
    const n = (/^rgba?\(([^)]*)\)/.exec(text)[1].match(/[\d.]+/g) || []).map(Number);
    return [n[0], n[1], n[2], n.length > 3 ? n[3] : 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (e) => {
    const layers = [];
    for (let x = e; x; x = x.parentElement) {
      const c = parse(getComputedStyle(x).backgroundColor);
      if (c[3] > 0) layers.push(c);
      if (c[3] === 1) break;
    }
    return layers.reverse().reduce((under, top) => over(top, under),
      matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1]);
  };
  const opacity = (e) => {
    let o = 1;
    for (let x = e; x; x = x.parentElement) o *= Number(getComputedStyle(x).opacity);
    return o;
  };
  const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".unseen, svg, canvas, noscript")
    && e.getBoundingClientRect().width > 0;
  const texts = () => [...document.querySelectorAll("body *")].filter((e) => seen(e) && [...e.childNodes].some(
    (n) => n.nodeType === 3 && n.textContent.trim() !== ""));
  const back = (q) => getComputedStyle(document.querySelector(q)).backgroundColor;
  return {
    // contrast() in each state, at one moment: before the next answer is shown.
    states() {
      const found = [], v = document.getElementById("verdict"), was = v.dataset.state;
      const live = document.getElementById("live"), on = live.dataset.on;
      const check = (name) => found.push(...this.contrast().map((x) => `${name}: ${x}`));
      for (const state of ["good", "warn", "bad", "unknown"]) { v.dataset.state = state; check(state); }
      v.dataset.state = was;
      live.dataset.on = "0";
      document.body.classList.add("stale");
      check("stale");
      document.body.classList.remove("stale");
      live.dataset.on = on;
      return { found, count: texts().length };
    },
    // What is told apart by its background.
    apart: () => ({ forced: matchMedia("(forced-colors: active)").matches,
      pressed: back(".choice [aria-pressed=true]") !== back(".choice button:not([aria-pressed=true])"),
      keys: new Set([...document.querySelectorAll("#now-latency .key")]
        .map((e) => getComputedStyle(e).backgroundColor)).size }),
    line_apart: () => back(".row.here") !== back("#lines pre"),
    moving: () => [...document.querySelectorAll("*")].filter((e) => {
      const c = getComputedStyle(e);
      return c.animationName !== "none" || (c.transitionDuration !== "0s" && c.transitionProperty !== "none")
        || c.scrollBehavior === "smooth";
    }).length,
    // Elements whose text is wider than they are, and that do not scroll.
    cut: () => [...document.querySelectorAll("header *, main *")].filter((e) => e.clientWidth > 0
      && e.scrollWidth > e.clientWidth + 1 && !/auto|scroll/.test(getComputedStyle(e).overflowX)
      && !e.closest(".unseen, svg, .u-wrap, .wide, nav, .choice") && !e.querySelector(".wide")
      && getComputedStyle(e).display !== "inline").map((e) => `${e.tagName}.${e.className}#${e.id}`),
    // The buttons of the dialog can be reached: it scrolls by itself.
    reached: () => {
      const d = document.getElementById("detail"), b = d.querySelector(".buttons");
      b.scrollIntoView();
      const at = b.getBoundingClientRect(), box = d.getBoundingClientRect();
      return at.bottom <= innerHeight + 1 && box.right <= innerWidth && box.left >= 0;
    },
    // [name, tag, it shows that it has the focus, it is on the screen]
    focus: () => {
      const e = document.activeElement, c = getComputedStyle(e), r = e.getBoundingClientRect();
      return [e.id || e.textContent.trim().slice(0, 30), e.tagName,
        c.outlineStyle !== "none" && parseFloat(c.outlineWidth) >= 2,
        r.bottom > 0 && r.top < innerHeight && r.right > 0];
    },
    // How many first headings, and whether no level is left out.
    headings: () => {
      const levels = [...document.querySelectorAll("h1, h2, h3")].filter((e) => e.checkVisibility())
        .map((e) => Number(e.tagName[1]));
      return [levels.filter((l) => l === 1).length,
        levels.every((l, i) => i === 0 || l <= levels[i - 1] + 1)];
    },
    // What is told from now on, while each second answer fails.
    flap: () => {
      const real = window.fetch, told = [], said = document.getElementById("said");
      let n = 0;
      new MutationObserver(() => told.push(said.textContent)).observe(said,
        { childList: true, characterData: true, subtree: true });
      window.fetch = (...a) => (++n % 2 ? real(...a) : Promise.reject(new Error(`gone ${n}`)));
      window.flapped = () => { window.fetch = real; return told; };
    },
    click: (code, route = "") => [...document.querySelectorAll("#refusals tbody tr")].find((r) =>
      r.querySelector(".link").textContent === code && r.textContent.includes(route)).querySelector(".link").click(),
    rows: async (after) => {
      const { known } = await import("/page/server.js"), all = known.rows;
      const rates = ["requests", "received", "stored", "refused", "dropped", "delivered"]
        .map((name) => known.columns.indexOf(name));
      const values = all.filter((r) => r[0] > after).flatMap((r) => rates.map((i) => r[i])).filter((v) => v !== null);
      return { least: Math.min(0, ...values), most: Math.max(0, ...values), gaps: all.filter((r) => r[1] === null).length,
        order: all.every((r, i) => i === 0 || r[0] > all[i - 1][0]), last: all[all.length - 1][0] };
    },
    contrast: () => texts().map((e) => {
      const style = getComputedStyle(e), back = behind(e), ink = parse(style.color);
      const front = over([...ink.slice(0, 3), ink[3] * opacity(e)], back);
      const a = light(front), b = light(back), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      return ratio >= (large ? 3 : 4.5) ? null : `${e.tagName}.${e.className} "${e.textContent.trim().slice(0, 40)}": ${
        ratio.toFixed(2)}`;
    }).filter((x) => x),
  };
})();
