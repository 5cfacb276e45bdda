/**
 * A session's records as bytes for the process that takes it over, and back.
 */
#ifndef PGSEAL_TLS_RECORD_PACK_H
#define PGSEAL_TLS_RECORD_PACK_H

#include "base/form.h"
#include "tls/record.h"

/**
 * Write the record's state, or read it into one that is zeroed: secrets, counters, a record and a message that have
 * only begun to come, what is owed to the peer. When reading has failed, record_fini() takes away what was read.
 */
void record_form(struct record *record, struct record_tools *tools, struct form *f);

#endif
