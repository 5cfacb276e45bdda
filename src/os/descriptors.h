/** How many files the process may have open. */
#ifndef PGSEAL_OS_DESCRIPTORS_H
#define PGSEAL_OS_DESCRIPTORS_H

/** Raise the limit to `wanted`, or as far as it goes; returns what it is then. It is never lowered. */
long os_raise_descriptors(long wanted);

#endif
