// Put into the live page by a spec: window.alter(f) has f change each answer of the server from
// now on, before the page sees it; alter(null) ends that. f gets the answer, and the first one
// that it changed.
const real = window.fetch;
window.alter = (f) => {
  let first = null;
  window.fetch = !f ? real : async (...all) => {
    const answer = await real(...all);
    if (!String(all[0]).includes("page.json")) return answer;
    const data = await answer.json();
    first = first || structuredClone(data);
    f(data, first);
    return new Response(JSON.stringify(data), { headers: { "Content-Type": "application/json" } });
  };
};
