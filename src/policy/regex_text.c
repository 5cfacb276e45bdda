/* First shape: bytes become characters one by one. */
#include "policy/regex_text.h"

#include "base/arena.h"

enum code regex_translate(struct arena *arena, struct str pattern, struct regex_text *out, struct err *e)
{
    if (pattern.n > REGEX_PATTERN_MAX)
        return err_set(e, E_REGEX, "regular expression is too complex");
    uint16_t *p = arena_array(arena, pattern.n, sizeof *p);
    if (!p)
        return E_NOMEM;
    for (size_t i = 0; i < pattern.n; i++)
        p[i] = regex_char((uint8_t)pattern.p[i]);
    *out = (struct regex_text){ p, pattern.n };
    return OK;
}
