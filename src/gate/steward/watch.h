/**
 * The files of a snapshot, watched from the steward's loop (reload_on_change).
 *
 * Certificates, keys, CAs and revocation lists count by content: replaced by rename, written in place or
 * swapped behind a symbolic link (Kubernetes' `..data`). Rules and settings count by identity: they react
 * when another file is at their path, never to an editor's save. Either way a change is told only after 1
 * s of silence with equal hashes, and once: the same state is not told again.
 */
#ifndef PGSEAL_GATE_STEWARD_WATCH_H
#define PGSEAL_GATE_STEWARD_WATCH_H

#include <stdbool.h>

struct loop;
struct snapshot;
struct watch;

enum watch_change {
    WATCH_CERTIFICATES, /* nothing but certificates: rules and settings stay as they are in force */
    WATCH_EVERYTHING    /* rules or settings were replaced */
};

typedef void watch_fn(void *arg, enum watch_change change);

/**
 * NULL when memory ran out. A system without inotify (or out of watches) is looked at now and then instead.
 */
struct watch *watch_new(struct loop *loop, watch_fn *fn, void *arg);
/** NULL is fine. */
void watch_free(struct watch *watch);
/** From now on watch the files of this snapshot (borrowed for the call). */
void watch_follow(struct watch *watch, const struct snapshot *snapshot);
/** What the files say now is being tried: do not tell of it again. Call it before they are read. */
void watch_mark(struct watch *watch);

#endif
