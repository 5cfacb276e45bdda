/*
 * PostgreSQL's patterns in words that Tcl's engine understands alike.
 *
 * Both engines descend from Henry Spencer's; what differs is rewritten:
 *   - bytes above 0x7f, written as they are or as \x, \u, \U or octal escapes, become private characters;
 *   - a bracket expression becomes an explicit set of characters: PostgreSQL knows [[:word:]] and \W in
 * brackets, and its [[:punct:]] is ASCII's, Tcl's is Unicode's;
 *   - \D, \W and \S become such sets, too: they match a newline even where (?n) keeps [^…] from it;
 *   - (?<=…) and (?<!…) exist in PostgreSQL only.
 *   - a literal, after ***=, is escaped character by character: Tcl 8.6 makes a glob of such a pattern in a
 *     buffer too small for many of \ * [ ] ? and overruns its stack (TclReToGlob).
 * A fault inside a rewritten part is replaced by a short part with the same fault, so that errors come in the
 * same order as in the server. Patterns in the older dialects, (?e), (?b) and (?q), keep their brackets.
 * [src: PostgreSQL 18, "POSIX Regular Expressions"; regc_lex.c, regcomp.c brackpart]
 */
#include "regex/regex_text.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "regex/regex_class.h"

#include <openssl/crypto.h>
#include <stdlib.h>

enum dialect { DIALECT_ADVANCED, DIALECT_OLD, DIALECT_LITERAL, DIALECT_ESCAPED };

enum {
    CODE_MAX = 0x7FFFFFFE, /* largest character PostgreSQL's engine takes */
    BYTE_MAX = 0xFF,
    FOREIGN_FIRST = 0xE100, /* characters that no subject has, in their order */
    FOREIGN_LAST = 0xF8FF,
    OUTPUT_MAX = 8 * 1024 * 1024,
};

struct scan {
    struct str left;
    enum regex_encoding encoding;
    struct buf out; /* uint16_t */
    enum dialect dialect;
    bool expanded; /* (?x): comments up to the end of the line */
    bool lookbehind;
    bool failed;      /* a fault has been put out; the rest does not matter */
    unsigned groups;  /* capturing parentheses opened so far */
    unsigned depth;   /* open parentheses */
    unsigned look_at; /* depth of the outermost open lookaround; 0: none */
};

enum { SET_RANGES_MAX = 64 };

/* A set of byte values, and in UTF-8 of ranges above them. As bytes, characters above never match and are only
 * kept for being non-empty. */
struct set {
    bool has[BYTE_MAX + 1];
    struct {
        uint32_t from, to;
    } above[SET_RANGES_MAX];
    size_t n_above;
    bool full; /* there were more */
};

/* ---- output ---- */

static void regex_text_put(struct scan *s, uint16_t c)
{
    (void)buf_append(&s->out, bytes_of(&c, sizeof c));
}

static void put_c(struct scan *s, const char *text)
{
    for (; *text; text++)
        regex_text_put(s, (uint16_t)(unsigned char)*text);
}

/** The character for a code that an escape gave. */
static uint16_t char_of(const struct scan *s, uint32_t code)
{
    if (s->encoding == REGEX_UTF8)
        return code <= 0x10FFFF ? regex_code(code) : FOREIGN_LAST;
    if (code <= BYTE_MAX)
        return regex_char((uint8_t)code);
    return code - BYTE_MAX > FOREIGN_LAST - FOREIGN_FIRST ? FOREIGN_LAST
                                                          : (uint16_t)(FOREIGN_FIRST + code - BYTE_MAX);
}

/** A character as \uXXXX, which has no other meaning anywhere. */
static void put_escaped(struct scan *s, uint16_t c)
{
    static const char hex[] = "0123456789abcdef";

    put_c(s, "\\u");
    for (int shift = 12; shift >= 0; shift -= 4)
        regex_text_put(s, (uint16_t)(unsigned char)hex[(c >> shift) & 15]);
}

/* One range of characters, the order of which is the order of codes within each of the three parts. */
static void put_range(struct scan *s, uint32_t from, uint32_t to)
{
    static const struct {
        uint32_t from, to;
    } parts[] = { { BYTE_MAX + 1, REGEX_PRIVATE_MAX - 1 },
                  { REGEX_PRIVATE_MAX, 0xD7FF },
                  { 0xF900, 0xFFFF } };

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        uint32_t first = from > parts[i].from ? from : parts[i].from;
        uint32_t last = to < parts[i].to ? to : parts[i].to;
        if (first > last)
            continue;
        put_escaped(s, regex_code(first));
        put_c(s, "-");
        put_escaped(s, regex_code(last));
    }
    if (to <= 0xFFFF)
        return;
    uint32_t first = from > 0x10000 ? from : 0x10000;
    bool all = to - first >= 0x7FF || regex_code(first) > regex_code(to);
    put_escaped(s, all ? 0xD800 : regex_code(first));
    put_c(s, "-");
    put_escaped(s, all ? 0xDFFF : regex_code(to));
}

static void put_set(struct scan *s, const struct set *set, bool complement)
{
    bool empty = true;

    put_c(s, complement ? "[^" : "[");
    for (unsigned from = 0; from <= BYTE_MAX; from++) {
        unsigned to = from;
        if (!set->has[from])
            continue;
        /* 0x7f and 0x80 are neighbours as bytes, not as characters. */
        while (to < BYTE_MAX && to != 0x7F && set->has[to + 1])
            to++;
        put_escaped(s, char_of(s, from));
        if (to > from) {
            put_c(s, "-");
            put_escaped(s, char_of(s, to));
        }
        from = to;
        empty = false;
    }
    for (size_t i = 0; i < set->n_above; i++) {
        put_range(s, set->above[i].from, set->above[i].to);
        empty = false;
    }
    if (empty)
        put_escaped(s, FOREIGN_LAST);
    put_c(s, "]");
}

static void put_fault(struct scan *s, const char *same)
{
    put_c(s, same);
    s->failed = true;
}

/* ---- input ---- */

static bool see(const struct scan *s, const char *text)
{
    return str_starts(s->left, str_c(text));
}

static void skip(struct scan *s, size_t n)
{
    s->left = str_from(s->left, n);
}

static uint32_t regex_text_take(struct scan *s)
{
    uint32_t code;
    (void)regex_take(&s->left, s->encoding, &code);
    return code;
}

static void regex_text_copy(struct scan *s, size_t n)
{
    for (; n > 0 && s->left.n > 0; n--)
        regex_text_put(s, char_of(s, regex_text_take(s)));
}

static int digit_value(char c, int base)
{
    int value = OPENSSL_hexchar2int((unsigned char)c);

    return value < base ? value : -1;
}

/** Between min and max digits; false when there are fewer, or the code is too large. */
static bool take_digits(struct scan *s, int base, size_t min, size_t max, uint32_t *out)
{
    uint64_t value = 0;
    size_t n = 0;

    for (; n < max && s->left.n > 0 && digit_value(s->left.p[0], base) >= 0; n++) {
        value = value * (uint64_t)base + (uint64_t)digit_value(s->left.p[0], base);
        if (value > CODE_MAX)
            return false;
        skip(s, 1);
    }
    *out = (uint32_t)value;
    return n >= min;
}

/* ---- classes ---- */

/** The class of \d, \w, \s, or of their capitals, which mean the complement; NULL for another letter. */
static regex_class_fn *class_of_letter(uint8_t letter, bool *out_complement)
{
    *out_complement = regex_is_upper(letter);
    switch (letter | 0x20) {
    case 'd':
        return regex_is_digit;
    case 'w':
        return regex_is_word;
    case 's':
        return regex_is_space;
    default:
        return NULL;
    }
}

static void set_add(struct set *set, regex_class_fn *is, bool complement)
{
    for (unsigned c = 0; c <= BYTE_MAX; c++)
        set->has[c] |= is(c) != complement;
}

static void set_add_range(const struct scan *s, struct set *set, uint32_t from, uint32_t to)
{
    for (uint32_t c = from; c <= to && c <= BYTE_MAX; c++)
        set->has[c] = true;
    bool above = s->encoding == REGEX_UTF8 && to > BYTE_MAX;
    set->full |= above && set->n_above == SET_RANGES_MAX;
    if (!above || set->full)
        return;
    set->above[set->n_above].from = from > BYTE_MAX ? from : BYTE_MAX + 1;
    set->above[set->n_above++].to = to;
}

/* ---- escapes ---- */

enum escape { ESCAPE_CODE, ESCAPE_CLASS, ESCAPE_OTHER, ESCAPE_BAD };

/**
 * What follows a backslash. ESCAPE_CODE: *out is the character, the escape is consumed. ESCAPE_CLASS:
 * *out is the letter, consumed. ESCAPE_OTHER: nothing is consumed, the engines agree.
 */
static enum escape take_escape(struct scan *s, uint32_t *out)
{
    static const struct {
        char letter;
        uint8_t code;
    } named[] = { { 'a', 7 },    { 'b', '\b' }, { 'B', '\\' }, { 'e', 033 }, { 'f', '\f' },
                  { 'n', '\n' }, { 'r', '\r' }, { 't', '\t' }, { 'v', '\v' } };
    struct scan before = *s;
    bool complement;

    if (s->left.n == 0)
        return ESCAPE_BAD;
    uint32_t c = regex_text_take(s);
    *out = c;
    if (!regex_is_alnum(c))
        return ESCAPE_CODE;
    if (class_of_letter((uint8_t)c, &complement))
        return ESCAPE_CLASS;
    for (size_t i = 0; i < COUNT_OF(named); i++) {
        *out = named[i].code;
        if (c == (uint8_t)named[i].letter)
            return ESCAPE_CODE;
    }
    if (c == 'c' && s->left.n > 0) {
        *out = regex_text_take(s) & 037u;
        return ESCAPE_CODE;
    }
    if (c == 'x')
        return take_digits(s, 16, 1, SIZE_MAX, out) ? ESCAPE_CODE : ESCAPE_BAD;
    if (c == 'u')
        return take_digits(s, 16, 4, 4, out) ? ESCAPE_CODE : ESCAPE_BAD;
    if (c == 'U')
        return take_digits(s, 16, 8, 8, out) ? ESCAPE_CODE : ESCAPE_BAD;
    s->left = before.left;
    if (!regex_is_digit(c))
        return ESCAPE_OTHER;
    if (c != '0') {
        bool number = take_digits(s, 10, 1, SIZE_MAX, out);
        bool one_digit = before.left.n - s->left.n == 1;
        s->left = before.left;
        if (one_digit || (number && *out > 0 && *out <= s->groups))
            return ESCAPE_OTHER; /* a back reference */
    }
    if (!take_digits(s, 8, 1, 3, out))
        return ESCAPE_BAD;
    if (*out > BYTE_MAX) {
        s->left = str_of(s->left.p - 1, s->left.n + 1);
        *out >>= 3;
    }
    return ESCAPE_CODE;
}

static void rewrite_escape(struct scan *s)
{
    struct set set = { { false } };
    bool complement;
    uint32_t code;

    skip(s, 1);
    switch (take_escape(s, &code)) {
    case ESCAPE_BAD:
        put_fault(s, "\\q");
        return;
    case ESCAPE_OTHER:
        if (regex_is_digit((uint8_t)s->left.p[0]) && s->look_at > 0 && s->groups < 9) {
            put_fault(s, "\\9"); /* no back references in lookaround */
            return;
        }
        put_c(s, "\\");
        regex_text_copy(s, 1);
        while (s->left.n > 0 && regex_is_digit((uint8_t)s->left.p[0]))
            regex_text_copy(s, 1);
        return;
    case ESCAPE_CODE:
        put_escaped(s, char_of(s, code));
        return;
    case ESCAPE_CLASS:
        set_add(&set, class_of_letter((uint8_t)code, &complement), regex_is_upper(code));
        put_set(s, &set, false);
        return;
    }
    UNREACHABLE();
}

/* ---- bracket expressions ---- */

enum item { ITEM_CODE, ITEM_SET, ITEM_END, ITEM_RANGE, ITEM_BAD };

struct bracket {
    struct set set;
    bool first; /* nothing was read yet: ] and - are plain */
    const char *fault;
};

static enum item bad(struct bracket *b, const char *fault)
{
    b->fault = fault;
    return ITEM_BAD;
}

/** [.x.] [=x=] [:name:]; `kind` is the sign. Names of several characters are left to the engine. */
static enum item take_named(struct scan *s, struct bracket *b, char kind, uint32_t *out)
{
    size_t n = 0;

    while (n + 1 < s->left.n && !(s->left.p[n] == kind && s->left.p[n + 1] == ']'))
        n++;
    if (n + 1 >= s->left.n)
        return bad(b, "[a");
    struct str name = str_first(s->left, n);
    skip(s, n + 2);
    if (kind == ':') {
        regex_class_fn *is = regex_class_of(name);
        if (!is)
            return bad(b, "[[:?:]]");
        set_add(&b->set, is, false);
        return ITEM_SET;
    }
    if (name.n == 0)
        return bad(b, NULL);
    (void)regex_take(&name, s->encoding, out);
    if (name.n > 0)
        return bad(b, NULL);
    if (kind == '.')
        return ITEM_CODE;
    set_add_range(s, &b->set, *out, *out);
    return ITEM_SET;
}

static enum item take_bracket_escape(struct scan *s, struct bracket *b, uint32_t *out)
{
    bool complement;

    switch (take_escape(s, out)) {
    case ESCAPE_CODE:
        return ITEM_CODE;
    case ESCAPE_CLASS: {
        regex_class_fn *is = class_of_letter((uint8_t)*out, &complement);
        set_add(&b->set, is, complement);
        return ITEM_SET;
    }
    case ESCAPE_OTHER:
    case ESCAPE_BAD:
        break;
    }
    return bad(b, "[\\q]");
}

static enum item take_item(struct scan *s, struct bracket *b, uint32_t *out)
{
    bool first = b->first;

    b->first = false;
    if (s->left.n == 0)
        return bad(b, "[a");
    uint32_t c = regex_text_take(s);
    *out = c;
    if (c == '\\')
        return take_bracket_escape(s, b, out);
    if (c == ']' && !first)
        return ITEM_END;
    if (c == '-' && !first && !see(s, "]"))
        return ITEM_RANGE;
    if (c != '[')
        return ITEM_CODE;
    if (s->left.n == 0)
        return bad(b, "[a");
    if (!see(s, ".") && !see(s, "=") && !see(s, ":"))
        return ITEM_CODE;
    return take_named(s, b, (char)regex_text_take(s), out);
}

/** A character or a range that begins with it. False on a fault. */
static bool take_range(struct scan *s, struct bracket *b, uint32_t from)
{
    uint32_t to = from;

    if (see(s, "-") && !see(s, "-]")) {
        skip(s, 1);
        enum item end = take_item(s, b, &to);
        if (end == ITEM_BAD)
            return false;
        b->fault = s->left.n == 0 ? "[a" : "[z-a]";
        if (s->left.n == 0 || (end != ITEM_CODE && end != ITEM_RANGE) || to < from)
            return false;
    }
    set_add_range(s, &b->set, from, to);
    b->fault = b->set.full ? "[a" : NULL; /* more ranges than anybody writes */
    return !b->set.full;
}

/** Read a bracket expression after its opening; false on a fault. */
static bool take_bracket(struct scan *s, struct bracket *b)
{
    uint32_t code;

    for (;;) {
        switch (take_item(s, b, &code)) {
        case ITEM_END:
            return true;
        case ITEM_SET:
            break;
        case ITEM_CODE:
            if (!take_range(s, b, code))
                return false;
            break;
        case ITEM_RANGE:
            b->fault = "[z-a]";
            return false;
        case ITEM_BAD:
            return false;
        }
    }
}

static void rewrite_bracket(struct scan *s)
{
    struct bracket b = { .first = true };
    struct scan raw = *s;

    if (see(s, "[[:<:]]") || see(s, "[[:>:]]")) {
        regex_text_copy(s, 7);
        return;
    }
    skip(s, 1);
    bool complement = see(s, "^");
    if (complement)
        skip(s, 1);
    if (take_bracket(s, &b)) {
        put_set(s, &b.set, complement);
    } else if (b.fault) {
        put_fault(s, b.fault);
    } else {
        s->left = raw.left;
        regex_text_copy(s, 1); /* the engine knows the names of characters; go on as for ordinary text */
        while (s->left.n > 0 && !see(s, ".]") && !see(s, "=]"))
            regex_text_copy(s, 1);
    }
}

/* ---- the whole ---- */

static void rewrite_paren(struct scan *s)
{
    bool look = see(s, "(?=") || see(s, "(?!") || see(s, "(?<=") || see(s, "(?<!");

    if (see(s, "(?#")) {
        while (s->left.n > 0 && !see(s, ")"))
            regex_text_copy(s, 1);
        regex_text_copy(s, 1);
        return;
    }
    s->depth++;
    if (!see(s, "(?") && s->look_at == 0)
        s->groups++;
    if (look && s->look_at == 0)
        s->look_at = s->depth;
    regex_text_copy(s, see(s, "(?") ? 2 : 1);
    if (look && see(s, "<")) {
        s->lookbehind = true;
        skip(s, 1);
    }
}

static void rewrite_one(struct scan *s)
{
    if (see(s, "\\")) {
        rewrite_escape(s);
    } else if (see(s, "[")) {
        rewrite_bracket(s);
    } else if (see(s, "(")) {
        rewrite_paren(s);
    } else if (see(s, ")")) {
        if (s->look_at == s->depth)
            s->look_at = 0;
        s->depth -= s->depth > 0;
        regex_text_copy(s, 1);
    } else if (see(s, "#") && s->expanded) {
        while (s->left.n > 0 && !see(s, "\n"))
            regex_text_copy(s, 1);
    } else {
        regex_text_copy(s, 1);
    }
}

/** `***:`, `***=` and `(?letters)` at the very beginning. */
static void read_prefix(struct scan *s)
{
    if (see(s, "***=")) {
        s->dialect = DIALECT_ESCAPED;
        skip(s, 4);
        return;
    }
    if (see(s, "***:"))
        regex_text_copy(s, 4);
    if (!see(s, "(?") || s->left.n < 3 || !regex_is_alpha((uint8_t)s->left.p[2]))
        return;
    regex_text_copy(s, 2);
    while (s->left.n > 0 && regex_is_alpha((uint8_t)s->left.p[0])) {
        char letter = s->left.p[0];
        if (letter == 'b' || letter == 'e')
            s->dialect = DIALECT_OLD;
        if (letter == 'q')
            s->dialect = DIALECT_LITERAL;
        if (letter == 'x')
            s->expanded = true;
        if (letter == 't')
            s->expanded = false;
        regex_text_copy(s, 1);
    }
    regex_text_copy(s, 1);
}

static void rewrite_all(struct scan *s)
{
    while (s->left.n > 0 && !s->failed) {
        if (s->dialect == DIALECT_ADVANCED)
            rewrite_one(s);
        else if (s->dialect == DIALECT_ESCAPED)
            put_escaped(s, char_of(s, regex_text_take(s)));
        else
            regex_text_copy(s, 1);
    }
}

enum code regex_translate(struct arena *arena, const struct regex_source *source, struct regex_text *out,
                          bool *out_lookbehind, struct err *e)
{
    struct scan s = { .left = source->pattern, .encoding = source->encoding, .out = BUF_INIT(OUTPUT_MAX) };

    if (source->pattern.n > REGEX_PATTERN_MAX)
        return err_set(e, E_REGEX, "regular expression is too complex");
    read_prefix(&s);
    bool behind = source->behind && (s.dialect == DIALECT_ADVANCED || s.dialect == DIALECT_ESCAPED);
    if (behind)
        put_c(&s, "[\\u0001-\\uffff](?:"); /* no text holds a NUL */
    rewrite_all(&s);
    if (behind)
        put_c(&s, s.expanded ? "\n)" : ")"); /* a comment ends there */
    struct str text;
    bool ok = buf_ok(&s.out) && arena_str(arena, buf_str(&s.out), &text);
    buf_fini(&s.out);
    if (!ok)
        return E_NOMEM;
    *out = (struct regex_text){ (const uint16_t *)(const void *)text.p, text.n / sizeof(uint16_t) };
    *out_lookbehind = s.lookbehind;
    return OK;
}
