// What the clients of a campaign share (tests/e2e/campaign.lua): the command line, and
// events that are handed over as far as the file DIR/go says.
//
//   const { folder, url, long, run } = require("./paced.cjs");
//   run((n) => library.send(event(n)), () => library.close());
const [folder, url, dir, total, ...args] = process.argv.slice(2);
const fs = require("fs");
const path = require("path");

const allowed = () => {
  try {
    return Number(fs.readFileSync(path.join(dir, "go"), "utf8"));
  } catch {
    return 0;
  }
};
const sleep = (ms) => new Promise((go) => setTimeout(go, ms));

module.exports = {
  folder, url, args,
  /// Whether this is the long form, with the library's own delays.
  long: process.env.SLUICE_LONG === "1",
  sleep,
  /// The package's module, from the folder where it is installed.
  load: (name) => require(require.resolve(name, { paths: [folder] })),
  /// Calls send(n) for each event; between them the library may work. Then end().
  async run(send, end) {
    for (let n = 0; n < Number(total);) {
      if (n >= allowed()) {
        await sleep(5);
        continue;
      }
      await send(n++);
      if (n % 10 === 0) await sleep(1);
    }
    await end();
    console.log(`calls=${total}`);
  },
};
