/*
 * Tcl's engine behind regex.h.
 *
 * Tcl's objects, and the compiled form inside them, belong to the thread that made them. So each thread
 * keeps, for the few sets it has met last (a policy and its predecessor during a reload), an array of pattern
 * objects by number; a search is an array access, one object for the subject, and the engine. Interpreters
 * are only made to get at the text of an error.
 */
#include "regex/regex.h"

#include "base/arena.h"
#include "base/check.h"
#include "regex/regex_text.h"

#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <tcl.h>

_Static_assert(sizeof(Tcl_UniChar) == sizeof(uint16_t), "regex_text is made of Tcl's characters");

struct entry {
    struct regex_text text;
    struct regex_text behind; /* the same after any character; empty: was not asked for */
    bool captures;
    bool remembers;  /* its parentheses are remembered: for captures, or for a back reference in it */
    bool lookbehind; /* in PostgreSQL's engine only */
};

struct regex_set {
    uint64_t id; /* unique in the process, never reused */
    enum regex_encoding encoding;
    struct arena *arena;
    struct entry *entries;
    size_t n;
    size_t size;
};

/* ---- what a thread has compiled ---- */

enum { THREAD_SETS = 4 };

struct thread_set {
    uint64_t id; /* 0: free */
    uint64_t used;
    Tcl_Obj **objects; /* two by number: the expression, and it after a character; NULL: not met yet */
    size_t n;
};

static _Thread_local struct {
    struct thread_set sets[THREAD_SETS];
    uint64_t clock;
    bool registered;
} mine;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_end;
static pthread_mutex_t ending = PTHREAD_MUTEX_INITIALIZER;
static bool have_key;
static _Atomic uint64_t last_id;

static void regex_forget(struct thread_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->objects[i])
            Tcl_DecrRefCount(set->objects[i]);
    free(set->objects);
    *set = (struct thread_set){ 0 };
}

void regex_thread_fini(void)
{
    if (!mine.registered)
        return;
    for (size_t i = 0; i < THREAD_SETS; i++)
        regex_forget(&mine.sets[i]);
    mine.registered = false;
    (void)pthread_setspecific(thread_end, NULL);
    /* Tcl makes the locks of its farewell when they are first needed, and looks for them without one. */
    (void)pthread_mutex_lock(&ending);
    Tcl_FinalizeThread();
    (void)pthread_mutex_unlock(&ending);
}

static void at_thread_end(void *value)
{
    (void)value;
    regex_thread_fini();
}

/**
 * Tcl's own start-up takes the locale from the environment and ignores SIGPIPE; both must stay as they were.
 * Our key comes before Tcl's: a thread that ends clears its keys in their order, and cleaning up needs Tcl's.
 */
static void start_tcl(void)
{
    const char *now = setlocale(LC_CTYPE, NULL);
    char *before = now ? strdup(now) : NULL;
    struct sigaction on_pipe;
    bool saved = sigaction(SIGPIPE, NULL, &on_pipe) == 0;

    have_key = pthread_key_create(&thread_end, at_thread_end) == 0;
    Tcl_FindExecutable(NULL);
    if (saved)
        (void)sigaction(SIGPIPE, &on_pipe, NULL);
    if (before)
        (void)setlocale(LC_CTYPE, before);
    free(before);
}

/** Before the first object of a thread. */
static bool regex_begin(void)
{
    if (pthread_once(&once, start_tcl) != 0 || !have_key)
        return false;
    if (!mine.registered)
        mine.registered = pthread_setspecific(thread_end, &mine) == 0;
    return mine.registered;
}

static struct thread_set *set_of_thread(const struct regex_set *set)
{
    struct thread_set *oldest = &mine.sets[0];

    mine.clock++;
    for (size_t i = 0; i < THREAD_SETS; i++) {
        struct thread_set *have = &mine.sets[i];
        if (have->id == set->id) {
            have->used = mine.clock;
            return have;
        }
        if (have->used < oldest->used)
            oldest = have;
    }
    regex_forget(oldest);
    oldest->objects = calloc(2 * set->n, sizeof(Tcl_Obj *));
    if (!oldest->objects)
        return NULL;
    oldest->id = set->id;
    oldest->n = 2 * set->n;
    oldest->used = mine.clock;
    return oldest;
}

/* ---- compiling ---- */

static Tcl_Obj *object_of(struct regex_text text)
{
    Tcl_Obj *object = Tcl_NewUnicodeObj(text.p, (int)text.n);

    Tcl_IncrRefCount(object);
    return object;
}

/* Without subexpressions the engine is faster, and refuses back references; PostgreSQL always keeps them.
 * [src: PostgreSQL 18, hba.c regcomp_auth_token] */
static int flags_of(bool remembers)
{
    return TCL_REG_ADVANCED | (remembers ? 0 : TCL_REG_NOSUB);
}

/* In any dialect; a backslash that is itself escaped costs speed only. */
static bool may_refer_back(struct str pattern)
{
    for (size_t i = 0; i + 1 < pattern.n; i++)
        if (pattern.p[i] == '\\' && pattern.p[i + 1] >= '1' && pattern.p[i + 1] <= '9')
            return true;
    return false;
}

/** The engine's words are the server's, after a preface; where the two differ, the server's. */
static enum code compile_error(Tcl_Interp *interp, struct err *e)
{
    static const struct {
        struct str tcl;
        const char *server;
    } words[] = {
        { STR("nfa has too many states"), "regular expression is too complex" },
        { STR("out of memory"), "regular expression is too complex" },
    };
    struct str text = str_c(Tcl_GetStringResult(interp));
    size_t colon = str_find(text, ':');

    if (colon < text.n)
        text = str_trim(str_from(text, colon + 1));
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_equal(text, words[i].tcl))
            text = str_c(words[i].server);
    return err_set(e, E_REGEX, "%.*s", STR_ARG(text));
}

static enum code compile(Tcl_Obj *object, bool remembers, Tcl_RegExp *out, struct err *e)
{
    *out = Tcl_GetRegExpFromObj(NULL, object, flags_of(remembers));
    if (*out)
        return OK;
    Tcl_Interp *interp = Tcl_CreateInterp();
    enum code code = OK;
    *out = Tcl_GetRegExpFromObj(interp, object, flags_of(remembers));
    if (!*out)
        code = compile_error(interp, e);
    Tcl_DeleteInterp(interp);
    return code;
}

struct regex_set *regex_set_new(struct arena *arena)
{
    return regex_set_new_in(arena, REGEX_BYTES);
}

struct regex_set *regex_set_new_in(struct arena *arena, enum regex_encoding encoding)
{
    struct regex_set *set = ARENA_NEW(arena, struct regex_set);

    /* Here and not at the first expression: a process loads its first rules before it has other threads. */
    if (!set || pthread_once(&once, start_tcl) != 0)
        return NULL;
    *set = (struct regex_set){ .id = atomic_fetch_add(&last_id, 1) + 1,
                               .encoding = encoding,
                               .arena = arena };
    return set;
}

/** Room for one more entry; the old array stays in the arena. */
static bool grow(struct regex_set *set)
{
    struct entry *entries = arena_grow(set->arena, set->entries, set->n, &set->size, sizeof *entries);

    if (!entries)
        return false;
    set->entries = entries;
    return true;
}

enum code regex_set_add(struct regex_set *set, struct str pattern, bool captures, unsigned *out,
                        struct err *e)
{
    struct entry entry = { .captures = captures, .remembers = captures || may_refer_back(pattern) };
    Tcl_RegExp compiled;

    if (!regex_begin() || !grow(set))
        return E_NOMEM;
    struct regex_source source = { .pattern = pattern, .encoding = set->encoding };
    TRY(regex_translate(set->arena, &source, &entry.text, &entry.lookbehind, e));
    source.behind = set->encoding == REGEX_UTF8; /* the rules' sets are never searched from the middle */
    if (source.behind)
        TRY(regex_translate(set->arena, &source, &entry.behind, &entry.lookbehind, e));
    Tcl_Obj *object = object_of(entry.text);
    enum code code = compile(object, entry.remembers, &compiled, e);
    Tcl_DecrRefCount(object);
    TRY(code);
    set->entries[set->n] = entry;
    *out = (unsigned)set->n++;
    return OK;
}

bool regex_set_has_lookbehind(const struct regex_set *set, unsigned number)
{
    CHECK(number < set->n);
    return set->entries[number].lookbehind;
}

/* ---- searching ---- */

enum { SUBJECT_ON_STACK = 256 };

static Tcl_Obj *subject_object(struct str subject)
{
    uint16_t few[SUBJECT_ON_STACK] = { 0 };
    uint16_t *text = few;

    if (subject.n > SUBJECT_ON_STACK)
        text = calloc(subject.n, sizeof *text);
    if (!text)
        return NULL;
    for (size_t i = 0; i < subject.n; i++)
        text[i] = regex_char((uint8_t)subject.p[i]);
    Tcl_Obj *object = object_of((struct regex_text){ text, subject.n });
    if (text != few)
        free(text);
    return object;
}

static enum code execute(Tcl_RegExp regexp, bool captures, struct str subject, struct regex_match *out,
                         struct err *e)
{
    Tcl_RegExpInfo info;
    Tcl_Obj *object = subject_object(subject);

    if (!object)
        return E_NOMEM;
    int result = Tcl_RegExpExecObj(NULL, regexp, object, 0, captures ? 2 : 0, 0);
    Tcl_DecrRefCount(object);
    if (result < 0)
        return err_set(e, E_REGEX, "regular expression is too complex");
    *out = (struct regex_match){ .matched = result > 0 };
    if (result == 0 || !captures)
        return OK;
    Tcl_RegExpGetInfo(regexp, &info);
    if (info.nsubs < 1 || info.matches[1].start < 0)
        return OK;
    CHECK((size_t)info.matches[1].end <= subject.n && info.matches[1].start <= info.matches[1].end);
    out->group_set = true;
    out->group = str_of(subject.p + info.matches[1].start,
                        (size_t)(info.matches[1].end - info.matches[1].start));
    return OK;
}

/* The thread's own compiled form. */
static enum code compiled_form(const struct regex_set *set, unsigned number, bool behind, Tcl_RegExp *out,
                               struct err *e)
{
    const struct entry *entry = &set->entries[number];
    struct thread_set *have = regex_begin() ? set_of_thread(set) : NULL;
    size_t at = 2 * (size_t)number + (behind ? 1 : 0);

    if (entry->lookbehind)
        return err_set(e, E_REGEX, "lookbehind constraints are not supported");
    if (!have)
        return E_NOMEM;
    CHECK(at < have->n);
    if (!have->objects[at])
        have->objects[at] = object_of(behind ? entry->behind : entry->text);
    return compile(have->objects[at], entry->remembers, out, e);
}

enum code regex_search(const struct regex_set *set, unsigned number, struct str subject,
                       struct regex_match *out, struct err *e)
{
    Tcl_RegExp compiled;

    CHECK(number < set->n && set->encoding == REGEX_BYTES);
    TRY(compiled_form(set, number, false, &compiled, e));
    return execute(compiled, set->entries[number].captures, subject, out, e);
}

/* ---- searching again and again in one text ---- */

struct regex_subject {
    Tcl_Obj *object;
    size_t n;      /* characters */
    uint32_t at[]; /* where each begins; the last is the end */
};

struct regex_subject *regex_subject_new(struct str text)
{
    struct regex_subject *subject = malloc(sizeof *subject + (text.n + 1) * sizeof subject->at[0]);
    uint16_t *characters = calloc(text.n + 1, sizeof *characters);
    struct str left = text;
    uint32_t code;

    if (!subject || !characters || !regex_begin()) {
        free(subject);
        free(characters);
        return NULL;
    }
    for (subject->n = 0; left.n > 0; subject->n++) {
        subject->at[subject->n] = (uint32_t)(text.n - left.n);
        characters[subject->n] = regex_take(&left, REGEX_UTF8, &code);
    }
    subject->at[subject->n] = (uint32_t)text.n;
    subject->object = object_of((struct regex_text){ characters, subject->n });
    free(characters);
    return subject;
}

void regex_subject_free(struct regex_subject *subject)
{
    if (!subject)
        return;
    Tcl_DecrRefCount(subject->object);
    free(subject);
}

size_t regex_subject_length(const struct regex_subject *subject)
{
    return subject->n;
}

size_t regex_subject_byte(const struct regex_subject *subject, size_t character)
{
    CHECK(character <= subject->n);
    return subject->at[character];
}

/* An older dialect was not put after a character: only its ^ knows that this is no beginning. */
static bool is_behind(const struct entry *entry)
{
    return entry->behind.n > entry->text.n;
}

enum code regex_find(const struct regex_set *set, unsigned number, const struct regex_subject *subject,
                     size_t from, struct regex_found *out, struct err *e)
{
    Tcl_RegExp compiled;
    Tcl_RegExpInfo info;

    CHECK(number < set->n && set->encoding == REGEX_UTF8);
    const struct entry *entry = &set->entries[number];
    bool behind = from > 0 && is_behind(entry);
    size_t offset = from - (behind ? 1 : 0);
    TRY(compiled_form(set, number, behind, &compiled, e));
    int result = Tcl_RegExpExecObj(NULL, compiled, subject->object, (int)offset, REGEX_GROUPS,
                                   offset > 0 && !behind ? TCL_REG_NOTBOL : 0);
    if (result < 0)
        return err_set(e, E_REGEX, "regular expression is too complex");
    *out = (struct regex_found){ .matched = result > 0 };
    if (result == 0 || !entry->remembers)
        return OK;
    Tcl_RegExpGetInfo(compiled, &info);
    for (int i = 0; i < REGEX_GROUPS && i <= info.nsubs; i++) {
        if (info.matches[i].start < 0)
            continue;
        out->groups[i].set = true;
        out->groups[i].start = offset + (size_t)info.matches[i].start + (i == 0 && behind ? 1 : 0);
        out->groups[i].end = offset + (size_t)info.matches[i].end;
        CHECK(out->groups[i].start <= out->groups[i].end && out->groups[i].end <= subject->n);
    }
    return OK;
}
