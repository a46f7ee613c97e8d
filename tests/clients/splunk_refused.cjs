// splunk_refused FOLDER URL: sends what a policy refuses by Splunk's library for
// JavaScript, from the folder where it is installed, and prints what the library made of
// the answers: whether it called its error handler, and the code of the answer.
const [folder, url] = process.argv.slice(2);
const { Logger } = require(require.resolve("splunk-logging", { paths: [folder] }));

const TOKEN = "00000000-0000-0000-0000-000000000000";

const ask = (name, token, message) => new Promise((go) => {
  const logger = new Logger({ url, token });
  let failed = null;
  logger.error = (e) => { failed = e; };
  logger.eventFormatter = (m) => m;
  logger.send({ message }, (error, response, body) => {
    console.log(`${name}: ${failed && failed.message ? "error" : "no error"}, `
      + `code ${body && body.code}`);
    go();
  });
});

(async () => {
  await ask("good", TOKEN, { n: 1 });
  await ask("Splunk other", "other", { n: 1 });
  await ask("blank", TOKEN, "");
})();
