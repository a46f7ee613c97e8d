// plot: one figure over time, drawn by uPlot where the binary carries it, otherwise as a
// small SVG. draw(times in s, lists, marks in s) after each answer of the server.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const SVG = "http://www.w3.org/2000/svg";

// Seconds only where minutes would repeat themselves.
const clock = (s, length) =>
  new Date(s * 1000).toTimeString().slice(0, length > 180 ? 5 : 8);

// A value without a neighbour has no line: it gets a point.
const alone = (u, k) => {
  const list = u.data[k], found = [];
  for (let i = 0; i < list.length; i++) {
    if (list[i] !== null && (list[i - 1] ?? null) === null && (list[i + 1] ?? null) === null) {
      found.push(i);
    }
  }
  return found;
};

// The times at which something happened, as lines from top to bottom.
function draw_marks(u, marks) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.strokeStyle = css("--soft");
  u.ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const t of marks) {
    const x = Math.round(u.valToPos(t, "x", true)) + 0.5;
    if (x < left || x > left + width) continue;
    u.ctx.beginPath();
    u.ctx.moveTo(x, top);
    u.ctx.lineTo(x, top + height);
    u.ctx.stroke();
  }
  u.ctx.restore();
}

function with_uplot(el, colors, show) {
  let plot = null, dark = null, at = [];
  const build = (data) => {
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 },
      ticks: { show: false }, font: "11px system-ui, sans-serif" };
    if (plot) plot.destroy();
    plot = new window.uPlot({
      width: el.clientWidth, height: el.clientHeight, cursor: { y: false },
      legend: { show: false }, padding: [6, 4, 0, 0], hooks: { draw: [(u) => draw_marks(u, at)] },
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
      axes: [{ ...axis, size: 22, gap: 3, grid: { show: false }, space: 90,
        values: (u, list) => list.map((t) => clock(t, u.scales.x.max - u.scales.x.min)) },
      { ...axis, size: 54, gap: 6, space: 34, values: (_, list) => list.map(show) }],
      series: [{}, ...colors.map((c, i) => ({ stroke: css(c), width: 1.6,
        points: { show: true, size: 4, fill: css(c), stroke: css(c), filter: alone },
        fill: i === 0 ? `${css(c)}1c` : undefined }))],
    }, data, el);
  };
  return (times, lists, marks) => {
    at = marks;
    const now = matchMedia("(prefers-color-scheme: dark)").matches;
    if (!plot || dark !== now) { dark = now; build([times, ...lists]); return; }
    if (plot.width !== el.clientWidth) {
      plot.setSize({ width: el.clientWidth, height: el.clientHeight });
    }
    plot.setData([times, ...lists]);
  };
}

function piece(name, attributes, text) {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
}

function plain(el, colors, show) {
  return (times, lists, marks) => {
    const w = Math.max(el.clientWidth, 120), h = el.clientHeight || 150;
    const left = 50, foot = 20, top = 8;
    const max = Math.max(...lists.flat().filter((v) => v !== null), 0) * 1.1 || 1;
    const from = times[0] || 0, to = times[times.length - 1] || 1;
    const x = (t) => left + (t - from) / Math.max(to - from, 1) * (w - left - 2);
    const y = (v) => top + (1 - v / max) * (h - foot - top);
    const svg = piece("svg", { viewBox: `0 0 ${w} ${h}`, "aria-hidden": "true" });
    for (const part of [0, 0.5, 1]) {
      const at = y(max * part / 1.1);
      svg.append(piece("line", { class: "grid", x1: left, x2: w, y1: at, y2: at }));
      svg.append(piece("text", { x: left - 7, y: at + 4, "text-anchor": "end" },
        show(max * part / 1.1)));
    }
    for (const [t, anchor] of [[from, "start"], [to, "end"]]) {
      if (times.length > 1) {
        svg.append(piece("text", { x: x(t), y: h - 4, "text-anchor": anchor },
          clock(t, to - from)));
      }
    }
    for (const t of marks.filter((m) => m >= from && m <= to)) {
      svg.append(piece("line", { class: "mark", x1: x(t), x2: x(t), y1: top, y2: h - foot }));
    }
    lists.forEach((list, k) => {
      let d = "", pen = false;
      list.forEach((v, i) => {
        if (v === null) { pen = false; return; }
        d += `${pen ? "L" : "M"}${x(times[i]).toFixed(1)} ${y(v).toFixed(1)}`;
        pen = true;
        if ((list[i - 1] ?? null) === null && (list[i + 1] ?? null) === null) {
          svg.append(piece("circle", { cx: x(times[i]), cy: y(v), r: 2, fill: css(colors[k]) }));
        }
      });
      svg.append(piece("path", { d, fill: "none", stroke: css(colors[k]), "stroke-width": 1.6 }));
    });
    el.replaceChildren(svg);
  };
}

export function plot_in(el, colors, show) {
  return (typeof window.uPlot === "function" ? with_uplot : plain)(el, colors, show);
}
