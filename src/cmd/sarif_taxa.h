/**
 * The numbers of benchmarks in a SARIF log: a taxonomy for each edition of a source, a taxon for each of its numbers.
 */
#ifndef PGSEAL_CMD_SARIF_TAXA_H
#define PGSEAL_CMD_SARIF_TAXA_H

#include "audit/checks.h"

#include <jansson.h>

struct audit_report;

/** References to the taxa that a check stands for in a report; new ones are added to `taxonomies`, an array. */
json_t *sarif_taxa(json_t *taxonomies, const struct audit_report *report, enum check check);
/** A rule's relationships with more taxa; what is there already is not added again. */
void sarif_taxa_relate(json_t *relationships, json_t *taxa);
/** A reference to each of the taxonomies. */
json_t *sarif_taxa_supported(json_t *taxonomies);

#endif
