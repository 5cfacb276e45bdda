/** The process's descriptors: closing them, and how many it may have. */
#ifndef PGSEAL_OS_DESCRIPTORS_H
#define PGSEAL_OS_DESCRIPTORS_H

/** Close it, unless it is -1 already, which it is from then on. */
void os_close(int *fd);

/** Raise the limit to `wanted`, or as far as it goes; returns what it is then. It is never lowered. */
long os_raise_descriptors(long wanted);

#endif
