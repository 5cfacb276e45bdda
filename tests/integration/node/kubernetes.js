// Judges Kubernetes objects by the API's own schemas: a JSON array on standard input, one line per fault.
//
// A schema says nothing of members it does not know, and the API server drops them silently: a misspelt one is found by
// watching which members the validator reads.
const KINDS = {
  'apps/v1 Deployment': ['kubernetes-models/apps/v1/Deployment', 'Deployment'],
  'v1 ConfigMap': ['kubernetes-models/v1/ConfigMap', 'ConfigMap'],
  'v1 Service': ['kubernetes-models/v1/Service', 'Service'],
  'policy/v1 PodDisruptionBudget': ['kubernetes-models/policy/v1/PodDisruptionBudget', 'PodDisruptionBudget'],
  'networking.k8s.io/v1 NetworkPolicy': ['kubernetes-models/networking.k8s.io/v1/NetworkPolicy', 'NetworkPolicy'],
  'cert-manager.io/v1 Certificate': ['@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate', 'Certificate'],
  'postgresql.cnpg.io/v1 Cluster': ['@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster', 'Cluster'],
};

function watched(value, path, unread) {
  if (value === null || typeof value !== 'object') return value;
  const children = {};
  if (!Array.isArray(value)) for (const key of Object.keys(value)) unread.add(`${path}.${key}`);
  return new Proxy(value, {
    get(target, key) {
      const own = Object.prototype.hasOwnProperty.call(target, key);
      if (!own || typeof key === 'symbol' || (Array.isArray(target) && key === 'length')) return target[key];
      const at = Array.isArray(target) ? `${path}[${key}]` : `${path}.${key}`;
      unread.delete(at);
      if (!(key in children)) children[key] = watched(target[key], at, unread);
      return children[key];
    },
  });
}

function faults(object) {
  const name = `${object.kind}/${object.metadata && object.metadata.name}`;
  const kind = KINDS[`${object.apiVersion} ${object.kind}`];
  if (!kind) return [`${name}: no schema for ${object.apiVersion} ${object.kind}`];
  const unread = new Set();
  const model = new (require(kind[0])[kind[1]])({});
  try {
    model.validate.call(watched(object, '', unread));
  } catch (e) {
    return [`${name}: ${e.message}`];
  }
  return [...unread].filter((at) => at !== '.apiVersion' && at !== '.kind').map((at) => `${name}: unknown member ${at}`);
}

const objects = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const found = objects.flatMap(faults);
for (const line of found) console.log(line);
process.exitCode = found.length > 0 ? 1 : 0;
