/**
 * Configuration files on the disk.
 */
#ifndef PGSEAL_LEX_CONF_DISK_H
#define PGSEAL_LEX_CONF_DISK_H

#include "lex/conf_lex.h"

/** The disk. */
struct conf_fs conf_fs_disk(void);

#endif
