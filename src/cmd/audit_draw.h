/**
 * The drawings of the audit's page, as SVG: the map of rules, certificates on a time line.
 */
#ifndef PGSEAL_CMD_AUDIT_DRAW_H
#define PGSEAL_CMD_AUDIT_DRAW_H

#include "base/buf.h"

struct arena;
struct audit_report;
struct rule_map;

/** Append the map. False: out of memory. */
bool audit_draw_map(const struct rule_map *map, struct arena *arena, struct buf *out);
/** The same in words, as items of a list. */
bool audit_list_map(const struct rule_map *map, struct arena *arena, struct buf *out);
void audit_draw_certificates(const struct audit_report *report, struct buf *out);

#endif
