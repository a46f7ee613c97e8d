// As turns.py, for clients of Node: FOLDER URL DIR [ARGS].
const [folder, url, dir, ...args] = process.argv.slice(2);
const fs = require("fs");
const path = require("path");

const sleep = (ms) => new Promise((go) => setTimeout(go, ms));

async function nextTurn(after) {
  for (;;) {
    try {
      const turn = JSON.parse(fs.readFileSync(path.join(dir, "turn"), "utf8"));
      if (turn.number > after) return turn;
    } catch { /* not there yet */ }
    await sleep(10);
  }
}

module.exports = {
  url, args, sleep,
  numbers: (events) => events.map((e) => e.n),
  text: ({ n, bad }) => `line ${n}${bad ? " bad" : ""}`,
  /// The package's module, from the folder where it is installed.
  load: (name) => require(require.resolve(name, { paths: [folder] })),
  async run(send) {
    let turn = await nextTurn(0);
    while (turn.events) {
      const told = await send(turn.events);
      const name = path.join(dir, `told-${turn.number}`);
      fs.writeFileSync(`${name}.new`, JSON.stringify(told));
      fs.renameSync(`${name}.new`, name);
      turn = await nextTurn(turn.number);
    }
    process.exit(0);
  },
};
