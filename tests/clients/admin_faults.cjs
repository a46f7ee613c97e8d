// The admin listener's page in Chromium, from another machine and while things go wrong:
// admin_faults.cjs URL DIR TOKEN PID
//
// Gives the token with the keyboard alone, looks at a canary, and stops the server's process
// for a while. Prints as JSON what it found. Screenshots go to DIR: token.png, canary.png,
// canary_narrow.png, stale.png.
const [url, dir, token, pid] = process.argv.slice(2);
const { open, run, until, looks, shot, key, type, main } = require("./chromium.cjs")(url, dir);

const text = (selector) => run(`return (document.querySelector(${JSON.stringify(selector)}) `
  + "|| { textContent: '' }).textContent");
// With Tab until an element has the focus.
const tab_to = async (selector) => {
  for (let i = 0; i < 60; i++) {
    if (await run(`return document.activeElement.matches(${JSON.stringify(selector)})`)) return;
    await key("Tab");
  }
  throw new Error(`no way by Tab to ${selector}`);
};

main(async () => {
  const said = { complaints: [], asked: [], leaks: [], answers: [] };
  await open(said, (request) => {
    if (request.url.includes(token) || (request.headers.Referer || "").includes(token)) {
      said.leaks.push(request.url);
    }
  }, { "X-Forwarded-For": "192.0.2.9" });
  // Shown often, as when a tab comes back: never two questions at a time, which would both get
  // the rows since the same one.
  await run("let n = 0; const f = window.fetch; window.most = 0; window.fetch = async (...a) => {"
    + "window.most = Math.max(window.most, ++n); try { return await f(...a); } finally { n--; } }");
  await run("for (let i = 0; i < 5; i++) document.dispatchEvent(new Event('visibilitychange'))");
  await looks(2);
  said.most = await run("return window.most");

  const enter = async (what) => {
    await tab_to("#token-text");
    await type(what);
    await key("Enter");
  };
  await tab_to("#refusals-body .link");
  await key("Enter");
  said.before = await text("#detail dl") + await text("#to-line");
  await tab_to("#detail .empty button");
  await key("Enter");
  said.overflow = [await shot("token", 360, 740, "dark")];
  await shot("token", 1280, 900, "dark");
  for (const wrong of ["wrong-token", "caf\u00e9"]) {
    await enter(wrong);
    await until("document.getElementById('token-why').textContent !== '' && "
      + "document.getElementById('token').open");
    said.answers.push(await text("#token-why"));
    said.still = (await text("#live")).split(",")[0];
  }
  // Given up after one was taken: it is not used.
  await tab_to("#token-text");
  await type(token);
  await key("Escape");
  await until("!document.getElementById('token').open");
  await looks(2);
  said.cancelled = await run("return sessionStorage.getItem('sluice-token /') || ''");
  await tab_to("#refusals-body .link");
  await key("Enter");
  await tab_to("#detail .empty button");
  await key("Enter");
  await enter(token);
  await until("document.getElementById('to-line') !== null "
    + "&& document.getElementById('detail').open");
  said.after = await text("#detail dl");
  await tab_to("#to-line");
  await key("Enter");
  await until("document.querySelector('#lines h3')");
  said.line = await text("#lines .here");
  await key("Escape");
  said.kept = await run("return [location.href, localStorage.length, document.cookie, "
    + "sessionStorage.getItem('sluice-token /')].join(' ')");

  await until("document.querySelector('#trial table')");
  said.trial = await text("#trial");
  said.overflow.push(await shot("canary", 1280, 900, "dark"),
    await shot("canary_narrow", 360, 740, "light"));

  process.kill(Number(pid), "SIGSTOP");
  await until("document.getElementById('live').textContent.startsWith('stale')");
  said.stale = await text("#live");
  said.dimmed = await run("return document.body.classList.contains('stale')");
  await shot("stale", 1280, 900, "light");
  process.kill(Number(pid), "SIGCONT");
  await until("document.getElementById('live').textContent === 'live'");
  return said;
});
