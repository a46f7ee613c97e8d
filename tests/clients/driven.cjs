// The admin listener's page in Chromium, driven by a spec over a socket: driven.cjs URL DIR
// [HEADERS as JSON]
//
// Prints its port. Each line that it gets is a JSON list [what, ...], and each line that it
// says is { ok } or { error }: run CODE, until CONDITION, looks N, shot NAME WIDTH HEIGHT
// SCHEME, key NAME, type TEXT, call METHOD PARAMETERS, said (complaints and requests).
const net = require("net");
const [url, dir, headers] = process.argv.slice(2);
const page = require("./chromium.cjs")(url, dir);

page.main(async () => {
  const said = { complaints: [], asked: [] };
  await page.open(said, () => {}, headers ? JSON.parse(headers) : {});
  const can = { ...page, said: () => said };
  await new Promise((end) => {
    const server = net.createServer((socket) => {
      let rest = "", turn = Promise.resolve();
      const answer = async (line) => {
        const [what, ...more] = JSON.parse(line);
        try {
          return { ok: (await can[what](...more)) ?? null };
        } catch (e) {
          return { error: String(e.stack || e) };
        }
      };
      socket.on("data", (part) => {
        const list = (rest + part).split("\n");
        rest = list.pop();
        for (const line of list) {
          turn = turn.then(async () => socket.write(`${JSON.stringify(await answer(line))}\n`));
        }
      });
      socket.on("error", end).on("close", end);
    });
    server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
  });
  return said;
});
