// k6/http: calls that return when the answer is there. The main thread sends the request
// while this thread waits.
import { sample, state } from "../state.mjs";

const answers = 1 << 20; // bytes of room for the answers of one call

function field(value, selector) {
  return selector.split(".").reduce((v, key) => (v == null ? undefined : v[key]), value);
}

function ask(requests) {
  if (!state.scenario) {
    throw new Error("making http requests in the init context is not supported");
  }
  state.shared ??= new SharedArrayBuffer(8 + answers);
  const flag = new Int32Array(state.shared, 0, 2);
  Atomics.store(flag, 0, 0);
  state.port.postMessage({ http: requests, shared: state.shared });
  Atomics.wait(flag, 0, 0);
  const bytes = Buffer.from(new Uint8Array(state.shared, 8, flag[1]));
  return JSON.parse(bytes.toString("utf8"));
}

function expected(status, callback) {
  const list = callback ? callback.statuses : [{ min: 200, max: 399 }];
  return list.some((s) => (typeof s === "number" ? s === status
    : status >= s.min && status <= s.max));
}

let callback = null;

function make([method, url, body, params = {}]) {
  const form = body !== null && typeof body === "object";
  const headers = { ...(form ? { "Content-Type": "application/x-www-form-urlencoded" } : {}),
    ...params.headers };
  return { method, url: String(url), headers,
    body: form ? new URLSearchParams(body).toString() : body ?? null,
    timeout: params.timeout ?? 60000 };
}

function finish(a, request, params = {}) {
  const good = a.error === "" &&
    expected(a.status, params.responseCallback ?? callback);
  const tags = { method: request.method, status: String(a.status), url: request.url,
    name: request.url, expected_response: String(good), ...params.tags };
  sample("http_reqs", "counter", 1, tags);
  sample("http_req_failed", "rate", good ? 0 : 1, tags);
  for (const part of ["duration", "sending", "waiting", "receiving", "blocked", "connecting"]) {
    sample(`http_req_${part}`, "trend", a.timings[part], tags);
  }
  return { ...a, url: request.url, request,
    json: (selector) => {
      const value = JSON.parse(a.body);
      return selector ? field(value, selector) : value;
    } };
}

function call(method, url, body, params) {
  const r = make([method, url, body, params]);
  return finish(ask([r])[0], r, params);
}

export const request = call;
export const get = (url, params) => call("GET", url, null, params);
export const head = (url, params) => call("HEAD", url, null, params);
export const post = (url, body, params) => call("POST", url, body, params);
export const put = (url, body, params) => call("PUT", url, body, params);
export const del = (url, body, params) => call("DELETE", url, body, params);

/** Requests at the same time: an array, or an object whose answers have the same keys. */
export function batch(requests) {
  const keys = Object.keys(requests);
  const all = keys.map((k) => {
    const r = requests[k];
    return typeof r === "string" ? ["GET", r]
      : Array.isArray(r) ? r : [r.method, r.url, r.body, r.params];
  });
  const made = all.map(make);
  const got = ask(made);
  const out = Array.isArray(requests) ? [] : {};
  keys.forEach((k, i) => {
    out[k] = finish(got[i], made[i], all[i][3]);
  });
  return out;
}

export function expectedStatuses(...statuses) {
  return { statuses };
}

export function setResponseCallback(c) {
  callback = c;
}

export default { request, get, head, post, put, del, batch, expectedStatuses,
  setResponseCallback };
