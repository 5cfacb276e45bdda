// Dashboards against the JSON Schemas that tools/grafana.sh made of Grafana's types: node grafana.mjs DASHBOARD...
import Ajv from "ajv";
import { readFileSync } from "node:fs";

const read = (file) => JSON.parse(readFileSync(file, "utf8"));
const schema = (name) => new Ajv({ allErrors: true, strict: false }).compile(read(`${name}.json`));

// What the Prometheus data source reads of an annotation; the general type knows no data source's own members.
const ANNOTATION_OF_PROMETHEUS = ["expr", "titleFormat", "textFormat"];

const kinds = ["stat", "bargauge", "timeseries", "table"];
const dashboard = schema("dashboard");
const options = Object.fromEntries(kinds.map((kind) => [kind, schema(`${kind}_options`)]));
const fields = { timeseries: schema("timeseries_field"), table: schema("table_field") };
let complaints = 0;

function check(where, validate, value) {
  if (validate(value)) return;
  for (const error of validate.errors) {
    complaints++;
    console.log(`${where}${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`);
  }
}

for (const file of process.argv.slice(2)) {
  const board = read(file), panels = board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
  for (const annotation of board.annotations.list) for (const name of ANNOTATION_OF_PROMETHEUS) delete annotation[name];
  check(file, dashboard, board);
  for (const panel of panels.filter((each) => each.type !== "row")) {
    const where = `${file}, panel ${panel.title}`;
    if (!options[panel.type]) {
      complaints++;
      console.log(`${where}: no schema for panels of type ${panel.type}`);
      continue;
    }
    check(`${where}, options`, options[panel.type], panel.options ?? {});
    if (fields[panel.type]) check(`${where}, field`, fields[panel.type], panel.fieldConfig?.defaults?.custom ?? {});
  }
  console.log(`${file}: ${panels.length} panels`);
}
process.exit(complaints ? 1 : 0);
