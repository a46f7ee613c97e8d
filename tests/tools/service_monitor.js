// Says whether a ServiceMonitor fits its schema: service_monitor.js FOLDER FILE.json
// FOLDER has node_modules with @kubernetes-models/prometheus-operator.
const { readFileSync } = require("fs");
const [folder, file] = process.argv.slice(2);
const { ServiceMonitor } = require(
  `${folder}/node_modules/@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1`);

(async () => {
  try {
    await new ServiceMonitor(JSON.parse(readFileSync(file, "utf8"))).validate();
    console.log("valid");
  } catch (e) {
    console.log(e.message);
  }
})();
