/**
 * The steps of an upgrade, as the parent takes them.
 */
#ifndef PGSEAL_OS_FAMILY_UPGRADE_H
#define PGSEAL_OS_FAMILY_UPGRADE_H

#include "os/family_impl.h"

#include <sys/signalfd.h>

/** SIGUSR2 has come. */
void family_upgrade_asked(struct family *f, const struct signalfd_siginfo *info);
/** A gate says something of the upgrade. May execute the new program, and not return. */
void family_upgrade_word(struct family *f, const struct generation *gate, enum parent_word word,
                         const char *text);
/** A child has ended that is no clerk. */
void family_upgrade_reaped(struct family *f, pid_t pid, int status);
/** The time of the step may be over. */
void family_upgrade_look(struct family *f);
/** How long to wait for it, as poll(2) wants it. */
int family_upgrade_wait_ms(const struct family *f);
/** The gate is to stop. */
void family_upgrade_stop(struct family *f);
/** It has come to its end, in whatever way; whoever has asked is told. */
void family_upgrade_end(struct family *f, enum family_answer answer, const char *text);

#endif
