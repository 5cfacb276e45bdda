/**
 * Telling the service manager how things stand: one datagram to the socket that NOTIFY_SOCKET names.
 * [src: systemd, sd_notify(3)]
 */
#ifndef PGSEAL_OS_NOTIFY_H
#define PGSEAL_OS_NOTIFY_H

/**
 * Send e.g. "READY=1", "RELOADING=1\nMONOTONIC_USEC=…" or "STOPPING=1". Does nothing without NOTIFY_SOCKET;
 * failures do not matter: the manager has its own timeout. A leading '@' is an abstract socket.
 */
void os_notify(const char *state);

#endif
