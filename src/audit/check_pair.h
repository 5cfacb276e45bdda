/**
 * Keys and the certificates that they are for.
 */
#ifndef PGSEAL_AUDIT_CHECK_PAIR_H
#define PGSEAL_AUDIT_CHECK_PAIR_H

struct audit;

/** Of the server, and of its hosts with a pair of their own. */
void check_pairs(struct audit *a);

#endif
