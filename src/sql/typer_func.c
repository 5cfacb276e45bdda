/* Functions: the row of functions.def that fits a call. [src: PostgreSQL 18, "Function Type Resolution"] */
#include "sql/typer_func.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_args.h"
#include "sql/typer_coerce.h"
#include "sql/typer_impl.h"

enum { AGG = 1, ADMIN = 2, STATS = 4, WINDOW = 8 };

struct function {
    const char *name;
    const char *args;
    char result;
    const char *emit;
    unsigned flags;
};

static const struct function functions[] = {
#define X(name, args, result, emit, flags) { name, args, result, emit, flags },
#include "functions.def"
#undef X
};

static enum pg_type type_of_code(char code)
{
    static const struct {
        char code;
        enum pg_type type;
    } codes[] = {
        { 'b', PG_BOOL },        { '4', PG_INT4 },      { '8', PG_INT8 },    { 'o', PG_OID },
        { 't', PG_TEXT },        { 'm', PG_NAME },      { 'n', PG_NUMERIC }, { 'f', PG_FLOAT8 },
        { 'i', PG_INET },        { 'p', PG_TIMESTAMP }, { 'd', PG_DATE },    { 'v', PG_INTERVAL },
        { 'z', PG_TIMESTAMPTZ }, { 'T', PG_TEXTS },
    };

    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (codes[i].code == code)
            return codes[i].type;
    return PG_UNKNOWN; /* '*', 'e', 'E', 'A' */
}

/* The code for argument `i`, or '\0' when there are too many. */
static char code_at(const char *args, size_t i)
{
    size_t n = strlen(args);
    bool repeats = n > 0 && args[n - 1] == '+';

    if (repeats && i + 2 > n)
        return args[n - 2];
    return i < n - (repeats ? 1 : 0) ? args[i] : '\0';
}

static bool enough_args(const char *args, size_t count)
{
    size_t n = strlen(args);

    return n > 0 && args[n - 1] == '+' ? count >= n - 1 : count == n;
}

/* How well a row fits: the number of exact types; -1 for not at all. */
static int fit(const struct function *f, const struct expr *call)
{
    int exact = 0;
    size_t i = 0;
    enum pg_type common = PG_UNKNOWN;

    if (!enough_args(f->args, call->arg_count))
        return -1;
    for (const struct expr *arg = call->args; arg != NULL; arg = arg->next, i++) {
        char code = code_at(f->args, i);
        enum pg_type want = type_of_code(code);
        if (code == 'A' && pg_type_def(arg->type)->category != 'A' && arg->type != PG_UNKNOWN)
            return -1;
        if (code == 'e' && !type_common(common, arg->type, &common))
            return -1;
        if (want != PG_UNKNOWN && !type_implicit(arg->type, want))
            return -1;
        if (want == arg->type)
            exact++;
    }
    return exact;
}

static const struct function *typer_func_find(const struct expr *call)
{
    const struct function *best = NULL;
    int best_fit = -1;

    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        if (!str_is(call->name, functions[i].name))
            continue;
        int exact = fit(&functions[i], call);
        if (exact > best_fit) {
            best_fit = exact;
            best = &functions[i];
        }
    }
    return best;
}

static enum code no_function(struct typer *t, const struct expr *call)
{
    AUTO(buf) struct buf text = BUF_INIT(512);
    enum code code;

    buf_append_str(&text, call->name);
    buf_append_byte(&text, '(');
    if (call->star)
        buf_append_byte(&text, '*');
    for (const struct expr *arg = call->args; arg != NULL; arg = arg->next)
        buf_printf(&text, "%s%s", arg == call->args ? "" : ", ", pg_type_def(arg->type)->label);
    code = sql_fail(t->e, E_UNDEF_FUNCTION, call->at, "function %s) does not exist", buf_c(&text));
    err_hint(&t->e->err,
             "No function matches the given name and argument types. You might need to add explicit "
             "type casts.");
    return code;
}

static enum code check_rights(struct typer *t, const struct function *f)
{
    bool denied = ((f->flags & ADMIN) && !t->in->is_admin) ||
                  ((f->flags & STATS) && !t->in->is_admin && !t->in->can_see_all);

    if (!denied)
        return OK;
    t->e->at = 0;
    return err_set(&t->e->err, E_ACCESS, "permission denied for function %s", f->name);
}

/* Aggregates: where they may stand, and their arguments, in which no other aggregate may stand. */
static enum code enter_aggregate(struct typer *t, struct scope *scope, const struct expr *call)
{
    if (scope == NULL || scope->no_aggregates != NULL)
        return sql_fail(t->e, E_GROUPING, call->at, "aggregate functions are not allowed in %s",
                        scope != NULL ? scope->no_aggregates : "this place");
    if (scope->in_aggregate)
        return sql_fail(t->e, E_GROUPING, call->at, "aggregate function calls cannot be nested");
    return OK;
}

static bool is_aggregate_name(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        if ((functions[i].flags & AGG) && str_is(name, functions[i].name))
            return true;
    return false;
}

/* With OVER a FILTER is typed like any argument. */
static enum code type_call_args(struct typer *t, struct scope *scope, struct expr *call, bool aggregate)
{
    enum code code;

    if (!aggregate) {
        TRY(type_args(t, scope, call));
        return call->filter != NULL ? type_condition(t, scope, &call->filter, "FILTER") : OK;
    }
    TRY(enter_aggregate(t, scope, call));
    scope->in_aggregate = true;
    scope->select->grouped = true;
    code = type_args(t, scope, call);
    if (code == OK && call->filter != NULL)
        code = type_condition(t, scope, &call->filter, "FILTER");
    scope->in_aggregate = false;
    return code;
}

static enum pg_type result_type(const struct function *f, const struct expr *call, enum pg_type common)
{
    enum pg_type array;

    if (f->result == 'e')
        return common;
    if (f->result == 'E')
        return pg_type_def(call->args->type)->element;
    if (strcmp(f->name, "array_agg") == 0 && pg_type_array_of(call->args->type, &array))
        return array;
    return type_of_code(f->result);
}

/* Bring the arguments to what the row asks for. */
static enum code fit_args(struct typer *t, const struct function *f, struct expr *call,
                          enum pg_type *out_common)
{
    enum pg_type common = PG_UNKNOWN;
    size_t i = 0;

    for (const struct expr *arg = call->args; arg != NULL; arg = arg->next)
        if (code_at(f->args, i++) == 'e')
            (void)type_common(common, arg->type, &common);
    if (common == PG_UNKNOWN)
        common = PG_TEXT;
    i = 0;
    for (struct expr **slot = &call->args; *slot != NULL; slot = &(*slot)->next, i++) {
        char code = code_at(f->args, i);
        enum pg_type want = type_of_code(code);
        if (code == 'e')
            want = common;
        else if (code == 'A')
            want = (*slot)->type == PG_UNKNOWN ? PG_TEXTS : (*slot)->type;
        else if (code == '*')
            want = (f->flags & AGG) && (*slot)->type != PG_UNKNOWN ? (*slot)->type : PG_TEXT;
        if (code == '*' && !(f->flags & AGG))
            TRY(type_as_shown(t, slot));
        TRY(type_coerce(t, slot, want));
    }
    *out_common = common;
    return OK;
}

/* greatest and least must know how to compare. */
static enum code prepend_type(struct typer *t, struct expr *call, enum pg_type type)
{
    struct expr *arg = type_const_int(t, (int64_t)type);

    if (arg == NULL)
        return type_nomem(t);
    arg->next = call->args;
    call->args = arg;
    call->arg_count++;
    return OK;
}

/* OVER: what SQLite itself can do as a window function. */
static enum code type_window(struct typer *t, struct scope *scope, struct expr *call)
{
    static const char *const natives[] = { "count", "min",        "max",  "sum",
                                           "avg",   "row_number", "rank", "dense_rank" };

    if (!str_is_one_of(call->emit, natives, COUNT_OF(natives)) || call->distinct)
        return sql_fail(t->e, E_UNSUPPORTED, call->at,
                        "this function with OVER is not supported in the status database");
    for (struct expr **slot = &call->over->partition; *slot != NULL; slot = &(*slot)->next)
        TRY(t->rules->expr(t, scope, slot));
    for (struct order *o = call->over->order; o != NULL; o = o->next)
        TRY(t->rules->expr(t, scope, &o->expr));
    call->aggregate = false;
    return OK;
}

static enum code check_window(struct typer *t, const struct scope *scope, const struct function *f,
                              const struct expr *call)
{
    if ((f->flags & WINDOW) && call->over == NULL)
        return sql_fail(t->e, E_WRONG_OBJECT, call->at, "window function %s requires an OVER clause",
                        f->name);
    if (call->over == NULL)
        return OK;
    if (!(f->flags & (AGG | WINDOW)))
        return sql_fail(t->e, E_WRONG_OBJECT, call->at,
                        "OVER specified, but %s is not a window function nor an aggregate function", f->name);
    if (scope == NULL || scope->no_aggregates != NULL)
        return sql_fail(t->e, E_WINDOW, call->at, "window functions are not allowed in %s",
                        scope != NULL ? scope->no_aggregates : "this place");
    return OK;
}

static enum code type_typeof(struct typer *t, struct scope *scope, struct expr *call)
{
    TRY(type_args(t, scope, call));
    if (call->arg_count != 1)
        return no_function(t, call);
    call->kind = EXPR_CONST;
    call->value = datum_int(pg_type_def(call->args->type)->oid);
    call->type = PG_REGTYPE;
    call->args = NULL;
    return OK;
}

enum code type_call(struct typer *t, struct scope *scope, struct expr **slot)
{
    struct expr *call = *slot;
    const struct function *f;
    enum pg_type common;

    if (call->emit.n > 0) /* made by the typer itself */
        return OK;
    if (str_is(call->name, "pg_typeof"))
        return type_typeof(t, scope, call);
    call->aggregate = call->over == NULL && is_aggregate_name(call->name);
    TRY(type_call_args(t, scope, call, call->aggregate));
    if (call->star && str_is(call->name, "count")) {
        call->emit = STR("count");
        call->type = PG_INT8;
        return call->over != NULL ? type_window(t, scope, call) : OK;
    }
    f = call->star ? NULL : typer_func_find(call);
    if (f == NULL)
        return no_function(t, call);
    if (!(f->flags & AGG) && (call->distinct || call->filter != NULL))
        return sql_fail(t->e, E_DATATYPE, call->at, "%s specified, but %s is not an aggregate function",
                        call->distinct ? "DISTINCT" : "FILTER", f->name);
    if (call->distinct && call->arg_count > 1)
        return sql_fail(t->e, E_UNSUPPORTED, call->at,
                        "DISTINCT with several arguments is not supported in the status database");
    TRY(check_window(t, scope, f, call));
    TRY(check_rights(t, f));
    TRY(fit_args(t, f, call, &common));
    call->emit = str_c(f->emit);
    call->type = result_type(f, call, common);
    if (call->over != NULL)
        return type_window(t, scope, call);
    if (f->result == 'E' && call->type != PG_TEXT) {
        enum pg_type element = call->type;
        call->type = PG_TEXT;
        return type_coerce(t, slot, element);
    }
    if (str_is(call->emit, "pgseal_setting"))
        t->in->relations |= UINT64_C(1) << t->in->schema->settings;
    if (str_is(call->emit, "pgseal_greatest") || str_is(call->emit, "pgseal_least"))
        return prepend_type(t, call, common);
    if (str_is(call->emit, "coalesce") && call->arg_count == 1) { /* SQLite wants two */
        call->kind = EXPR_CAST;
        call->emit = str_of("", 0);
    }
    return OK;
}
