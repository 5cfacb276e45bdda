/**
 * Telling the service manager how things stand: one datagram to the socket that NOTIFY_SOCKET names.
 * [src: systemd, sd_notify(3)]
 */
#ifndef PGSEAL_OS_NOTIFY_H
#define PGSEAL_OS_NOTIFY_H

#include <stdbool.h>

/**
 * Send e.g. "READY=1", "RELOADING=1\nMONOTONIC_USEC=…" or "STOPPING=1". Does nothing without NOTIFY_SOCKET;
 * failures do not matter: the manager has its own timeout. A leading '@' is an abstract socket.
 */
void os_notify(const char *state);
/** From now on texts go to the parent at the other end of this line (os/parent.h), which passes them on. */
void os_notify_through(int line);

/** Is this descriptor the journal's? Then lines may begin with their syslog level. [src: systemd.exec(5)] */
bool os_is_journal(int fd);

#endif
