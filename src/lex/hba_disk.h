/**
 * The real disk behind struct hba_lex_fs, and paths as text.
 */
#ifndef PGSEAL_LEX_HBA_DISK_H
#define PGSEAL_LEX_HBA_DISK_H

#include "lex/hba_lex.h"

struct arena;

/**
 * Make `path` absolute against `base_dir` and remove `.`, `..` and doubled slashes, on the text alone
 * [src: PostgreSQL 18, path.c canonicalize_path]. False when memory ran out.
 */
bool hba_lex_path(struct arena *arena, struct str base_dir, struct str path, struct str *out);

#endif
