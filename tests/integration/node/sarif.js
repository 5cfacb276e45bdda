// Does standard input hold a SARIF 2.1.0 log? Judged by the schema of @microsoft/jest-sarif; prints what is wrong.
const Ajv = require("ajv");
const fs = require("fs");
const path = require("path");

const folder = path.join(path.dirname(require.resolve("@microsoft/jest-sarif")), "schemas");
const schema = JSON.parse(fs.readFileSync(path.join(folder, fs.readdirSync(folder)[0])));
const ajv = new Ajv({ schemaId: "auto", allErrors: true, unknownFormats: "ignore" });
ajv.addMetaSchema(require("ajv/lib/refs/json-schema-draft-04.json"));
const valid = ajv.validate(schema, JSON.parse(fs.readFileSync(0)));
console.log(JSON.stringify(valid ? [] : ajv.errors));
