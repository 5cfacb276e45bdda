/**
 * The revocation lists by which clients are judged, and those by which a gate judges its servers, as they are on
 * disk now.
 */
#ifndef PGSEAL_AUDIT_CHECK_LISTS_H
#define PGSEAL_AUDIT_CHECK_LISTS_H

struct audit;

void check_lists(struct audit *a);

#endif
