// The admin listener's page in Chromium: admin.cjs URL DIR
//
// Opens the page, looks at it as an operator would, and prints as JSON what it found.
// Screenshots go to DIR: light.png, dark.png, narrow.png, line.png.
const [url, dir] = process.argv.slice(2);
const { open, run, until, shot, key, main } = require("./chromium.cjs")(url, dir);

main(async () => {
  const said = { complaints: [], asked: [] };
  await open(said);
  said.overflow = [await shot("light", 1280, 900, "light"), await shot("dark", 1280, 900, "dark"),
    await shot("narrow", 360, 740, "light")];
  await shot("light", 1280, 900, "light");
  // A sink that tries again takes something for a moment.
  await until("document.getElementById('verdict').dataset.state === 'warn' && document.getElementById('live')"
    + ".textContent === 'live' && document.querySelector('#sinks tbody th').textContent === 'warehouse'");
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
    await until("document.getElementById('detail').open");
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
  return said;
});
