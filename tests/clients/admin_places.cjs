// The lines that the live page leads to from a refusal, as JSON: admin_places.cjs FILE ROUTE CODE
// FIELD. FILE: what /policy.json said.
const fs = require("fs");
const path = require("path");

const [file, route, code, field] = process.argv.slice(2);
const text = fs.readFileSync(path.join(__dirname, "../../src/page/words.js"), "utf8");
import(`data:text/javascript;base64,${Buffer.from(text).toString("base64")}`).then((words) => {
  const policy = JSON.parse(fs.readFileSync(file, "utf8"));
  console.log(JSON.stringify(words.places_of(policy.files, policy.routes.find((r) => r.route === route),
    code, field)));
});
