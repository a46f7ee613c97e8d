// The first line of the live page for some states, as JSON. With a file: of the statuses in
// its list, [status, the one before] each.
const fs = require("fs");
const path = require("path");

const text = fs.readFileSync(path.join(__dirname, "../../src/page/words.js"), "utf8");
import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`).then((words) => {
  const sink = (more) => ({ name: "bus", lost: 0, skipped: 0, dead: 0, left_events: 0,
    oldest_ms: 0, holding: false, ...more });
  const states = {
    well: { sinks: [sink({})] },
    wait: { sinks: [sink({ left_events: 5, oldest_ms: 3000 }), sink({ name: "b", left_events: 7 })] },
    lost: { sinks: [sink({ lost: 3, skipped: 4 })] },
    dead: { sinks: [sink({ dead: 2 })] },
    raised: { sinks: [sink({})], events: { dead: 1 } },
    disk: { sinks: [], spool: { writable: false } },
  };
  if (process.argv[2]) {
    const list = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
    console.log(JSON.stringify(list.map(([status, before]) => {
      const v = words.verdict(status, before || null);
      return { state: v.state, first: v.first, more: v.more.map((m) => m.text) };
    })));
    return;
  }
  const said = {};
  for (const [name, status] of Object.entries(states)) {
    const v = words.verdict(status);
    said[name] = [v.state, v.first];
  }
  console.log(JSON.stringify(said));
});
