/** What a gate's clients make of its certificate, as canaries have shown it. */
#ifndef PGSEAL_AUDIT_CHECK_CLIENTS_H
#define PGSEAL_AUDIT_CHECK_CLIENTS_H

struct audit;

void check_clients(struct audit *a);

#endif
