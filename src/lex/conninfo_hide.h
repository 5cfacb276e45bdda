/**
 * Connection strings as they may be shown: every secret in them is blotted out.
 *
 * Passwords are not wanted in connection strings, but that is where people put them, and where a string is
 * malformed it is quoted in an error. Here nothing is refused: what cannot be understood is hidden as well.
 */
#ifndef PGSEAL_LEX_CONNINFO_HIDE_H
#define PGSEAL_LEX_CONNINFO_HIDE_H

#include "base/slice.h"

struct arena;
struct buf;

/** What is in the place of a secret, however long it was. */
#define HIDDEN "********"

/** True for `password` and the other SECRET rows of tables/conninfo.def. */
bool conninfo_is_secret(struct str keyword);
/**
 * Append a connection string, URI or `keyword = value` pairs, without its secrets.
 *
 * Hidden are values of secret and of unknown keywords, what follows a word that is no keyword, everything
 * between the first colon and the last @ of a URI's authority, and a port that is no number: that is what a
 * password comes to whose @, / or : was not percent-encoded.
 */
void conninfo_hide(struct str text, struct buf *out);
/** The same text in `arena`, or HIDDEN when memory ran out. */
struct str conninfo_hidden(struct arena *arena, struct str text);
/**
 * Where the last @ ends that a URI should not have, 0: there is none. Such an @, after a colon, is what a
 * password comes to whose @ or / was not percent-encoded: it is in hosts or path, or in a parameter that
 * is not libpq's. `s`: the URI after its "://".
 */
size_t conninfo_uri_leftover(struct str s);
/**
 * A word that stands where a name was expected, to be quoted in an error: as it is, unless it looks like a
 * URI, like user:password@host, or has a "password=" in it. In `arena`, or HIDDEN when memory ran out.
 */
struct str conninfo_hidden_word(struct arena *arena, struct str word);

#endif
