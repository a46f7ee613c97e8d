// Put into the live page by a spec: a clock of its own. Each answer is 10 s later than the one
// before, with a row a second, and each 20th is of another process; a tick follows the other.
const { known } = await import("/page/server.js");
const first = structuredClone(known.latest), row = known.rows[known.rows.length - 1];
const later = { ms: 0, n: 0, pid: 1 };
window.known = known;
performance.now = () => later.ms;
const wait = window.setTimeout;
window.setTimeout = (f, ms) => wait(f, ms === 1000 ? 0 : ms);
window.fetch = async (path) => {
  later.ms += 10000;
  if (++later.n % 20 === 0) { later.pid++; later.from = later.ms; }
  const at = first.now_ms + later.ms, n = Math.min(later.n % 20 + 1, 20) * 10;
  const since = Number(/since=(\d+)/.exec(path)[1]), begin = since > 0 && since <= n ? since : 0;
  const data = { ...first, now_ms: at, seq: n, first: begin, columns: first.columns || known.columns,
    rows: Array.from({ length: n - begin }, (_, i) => [at - 1000 * (n - begin - 1 - i), ...row.slice(1)]),
    status: { ...first.status, pid: later.pid, uptime_ms: n * 1000, now_ms: at } };
  return new Response(JSON.stringify(data), { headers: { "Content-Type": "application/json" } });
};
