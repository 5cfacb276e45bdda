#!/bin/bash
# Check the dashboards of dist/grafana/ against Grafana's own types, from npm: tools/grafana.sh [VERSION]
#
# VERSION is a release of @grafana/schema; the default is of the series that the dashboards' schemaVersion belongs to.
# A JSON Schema is made of its TypeScript: one of a dashboard, and one of the options of each kind of panel, in which
# no member may be left out that Grafana's own have, and none is unknown. No package's own script is run. It needs the
# registry, so `make check` does not call it.
set -eu
version=${1:-10.4.19}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo '{"private": true, "type": "module"}' >package.json
npm install --ignore-scripts --no-audit --no-fund --loglevel=error "@grafana/schema@$version" \
    ts-json-schema-generator@2.4.0 ajv@8.20.0 typescript@7.0.2 >npm.log 2>&1 || { cat npm.log >&2; exit 1; }
cat >tsconfig.json <<'END'
{"compilerOptions": {"module": "esnext", "moduleResolution": "node", "skipLibCheck": true, "strict": true}, "files": ["types.ts"]}
END
cat >types.ts <<'END'
import { Dashboard } from "@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen";
import { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import { Options as BarOptions } from "@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen";
import { Options as SeriesOptions, FieldConfig as SeriesField } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import { Options as TableOptions, FieldConfig as TableField } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
export type dashboard = Dashboard;
export type stat_options = Partial<StatOptions>;
export type bargauge_options = Partial<BarOptions>;
export type timeseries_options = Partial<SeriesOptions>;
export type table_options = Partial<TableOptions>;
export type timeseries_field = Partial<SeriesField>;
export type table_field = Partial<TableField>;
END
for type in dashboard {stat,bargauge,timeseries,table}_options {timeseries,table}_field; do
    npx ts-json-schema-generator --tsconfig tsconfig.json --path types.ts --type "$type" --no-type-check --out "$type.json"
done
cp "$source/tests/prometheus/grafana.mjs" .
node grafana.mjs "$source"/dist/grafana/*.json
