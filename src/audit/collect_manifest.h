/**
 * CloudNativePG's manifests as the subject of an audit: a Cluster with its rules, settings and connections, and
 * Poolers. [src: CloudNativePG 1.27, "API Reference", "PostgreSQL Configuration", "Certificates"]
 */
#ifndef PGSEAL_AUDIT_COLLECT_MANIFEST_H
#define PGSEAL_AUDIT_COLLECT_MANIFEST_H

#include "base/err.h"

struct client_params;
struct collected;

/** By the name of the file and what is in it. */
bool collect_is_manifest(struct str name, struct str text);
/**
 * Read it. Rules are those that the operator writes: its own, those of spec.postgresql.pg_hba at their lines in
 * the manifest, and its last one.
 *
 * path  absolute; lives as long as the arena.
 *
 * E_CONFIG: it describes neither a cluster nor a pooler; E_NOMEM.
 */
MUST_CHECK enum code collect_manifest(const char *path, struct str text, const struct client_params *params,
                                      struct collected *out, struct err *e);

#endif
