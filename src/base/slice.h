/**
 * Borrowed views of bytes and of text: the length never parts from the pointer.
 *
 * A view owns nothing and is not NUL-terminated. Passing one by value is the rule.
 */
#ifndef PGSEAL_BASE_SLICE_H
#define PGSEAL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *p;
    size_t n;
};

struct str {
    const char *p;
    size_t n;
};

/** A view of a string literal. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
/** Arguments for "%.*s". */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){ p, n };
}

static inline struct str str_of(const char *p, size_t n)
{
    return (struct str){ p, n };
}

/** A view of a C string; NULL gives an empty view. */
static inline struct str str_c(const char *c)
{
    return (struct str){ c ? c : "", c ? strlen(c) : 0 };
}

static inline struct str str_from_bytes(struct bytes b)
{
    return (struct str){ (const char *)b.p, b.n };
}

static inline struct bytes str_bytes(struct str s)
{
    return (struct bytes){ (const uint8_t *)s.p, s.n };
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_equal(struct str a, struct str b)
{
    return bytes_equal(str_bytes(a), str_bytes(b));
}

static inline bool str_is(struct str a, const char *c)
{
    return str_equal(a, str_c(c));
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/** The rest of `s` from byte `from` on; empty when `from` is beyond the end. Nothing, which may be NULL, stays that. */
static inline struct str str_from(struct str s, size_t from)
{
    return s.n == 0 ? s : from >= s.n ? str_of(s.p + s.n, 0) : str_of(s.p + from, s.n - from);
}

static inline struct bytes bytes_from(struct bytes b, size_t from)
{
    return b.n == 0 ? b : from >= b.n ? bytes_of(b.p + b.n, 0) : bytes_of(b.p + from, b.n - from);
}

/** The first `n` bytes of `s`, or all of it. */
static inline struct str str_first(struct str s, size_t n)
{
    return str_of(s.p, n < s.n ? n : s.n);
}

/** Order of bytes, as memcmp; a prefix sorts first. */
int str_compare(struct str a, struct str b);
/** ASCII case folding only; other bytes compare as they are. */
int str_compare_nocase(struct str a, struct str b);
bool str_equal_nocase(struct str a, struct str b);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
/** An ASCII blank: space, \t \n \r \v \f. The locale has no say. */
bool char_is_blank(char c);
/** Blanks off both ends. */
struct str str_trim(struct str s);
/** Position of the first `c`, or s.n. */
size_t str_find(struct str s, char c);
/** Which of `n` words `s` is, to the letter; `n`: none of them. */
size_t str_index_of(struct str s, const char *const *words, size_t n);
bool str_is_one_of(struct str s, const char *const *words, size_t n);
/**
 * Cut the text before the first `sep` off `*rest`.
 * Returns false when `*rest` is exhausted; "a,,b" gives "a", "", "b"; "" gives nothing.
 */
bool str_split(struct str *rest, char sep, struct str *out_part);
/** Decimal digits only, no sign, no blanks, within [min, max]. Returns false and leaves *out otherwise. */
bool str_to_u32(struct str s, uint32_t min, uint32_t max, uint32_t *out);
/** The base for strtol() and the like: 0, but 10 before "0b", which glibc reads as a binary number since 2.38. */
int c_number_base(const char *text);
/** An optional '-' is accepted. */
bool str_to_i64(struct str s, int64_t min, int64_t max, int64_t *out);
/**
 * PostgreSQL's boolean words and their unique prefixes, any case [src: PostgreSQL 18, parse_bool_with_len].
 */
bool str_to_bool(struct str s, bool *out);
/** True when `s` holds a NUL byte. */
static inline bool str_has_nul(struct str s)
{
    return s.n > 0 && memchr(s.p, '\0', s.n) != NULL;
}
/**
 * Copy into `dst` as a C string. False when it does not fit or `s` holds a NUL (certificate names!).
 */
bool str_to_c(struct str s, char *dst, size_t dst_size);

#endif
