/* Tokens of pg_hba.conf: quotes, commas, continuations, references, include records; files in memory. */
#include "../unit.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/hba_disk.h"
#include "lex/hba_lex.h"

#include <errno.h>

/* ---- files in memory ---- */

struct file {
    const char *path;
    const char *text; /* NULL: a directory */
    int problem;      /* what reading gives, as hba_lex_fs.read_file */
};

static int memory_read(void *ctx, const char *path, struct buf *out)
{
    for (const struct file *f = ctx; f->path; f++)
        if (strcmp(f->path, path) == 0) {
            if (f->problem == 0)
                (void)buf_append_c(out, f->text);
            return f->problem;
        }
    return ENOENT;
}

static int memory_list(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    size_t n = strlen(path);
    bool found = false;

    for (const struct file *f = ctx; f->path; f++)
        if (strncmp(f->path, path, n) == 0 && f->path[n] == '/') {
            entry(arg, f->path + n + 1);
            found = true;
        }
    return found ? 0 : ENOENT;
}

static int memory_is_dir(void *ctx, const char *path)
{
    for (const struct file *f = ctx; f->path; f++)
        if (strcmp(f->path, path) == 0)
            return f->problem == ESTALE ? -ESTALE : !f->text;
    return -ENOENT;
}

/* ---- a result as text: fields by space, tokens by |, quoted ones in <>, errors as E:text ---- */

struct result {
    struct arena arena;
    struct diags diags;
    struct hba_lines lines;
    char text[4096];
};

static void render(struct result *r)
{
    AUTO(buf) struct buf b = BUF_INIT(sizeof r->text);
    const struct hba_line *line;

    STAILQ_FOREACH (line, &r->lines.list, next) {
        (void)buf_printf(&b, "%u:", line->line);
        if (line->error.n > 0)
            (void)buf_printf(&b, "E:%.*s", STR_ARG(line->error));
        for (size_t f = 0; f < line->n && line->error.n == 0; f++)
            for (size_t t = 0; t < line->fields[f].n; t++) {
                struct hba_token token = line->fields[f].tokens[t];
                (void)buf_printf(&b, token.quoted ? "%s<%.*s>" : "%s%.*s", t ? "|" : " ", STR_ARG(token.s));
            }
        (void)buf_append_byte(&b, '\n');
    }
    assert_true(str_to_c(buf_str(&b), r->text, sizeof r->text));
}

static void lex_bytes(struct result *r, const struct file *files, struct str text, unsigned version)
{
    static const struct file none[] = { { NULL } };
    const struct hba_lex_fs fs = { memory_read, memory_list, memory_is_dir,
                                   (void *)(uintptr_t)(files ? files : none) };
    struct hba_lex_params params = { &fs, version, &r->diags };

    arena_init(&r->arena, 64 << 20, 1024);
    diags_init(&r->diags, &r->arena);
    assert_int_equal(hba_lex_bytes(&params, STR("/d/pg_hba.conf"), str_bytes(text), &r->arena, &r->lines),
                     OK);
    render(r);
}

static void expect_version(struct str text, unsigned version, const char *expected)
{
    struct result r;

    lex_bytes(&r, NULL, text, version);
    assert_string_equal(r.text, expected);
    arena_fini(&r.arena);
}

#define expect(text, expected) expect_version(STR(text), 18, expected)

static void tokens(void **state)
{
    (void)state;
    expect("", "");
    expect("\n \t\r\n# c\n", "");
    expect("local all all trust", "1: local all all trust\n");
    expect("a b,c , d ,e", "1: a b|c d e\n");
    expect("a, b", "1: a|b\n");
    expect("a ,b", "1: a b\n");
    expect(",,a,,b,,", "1: a|b\n");
    expect("a#b c", "1: a\n");
    expect("\"a#b c\"", "1: <a#b c>\n");
    expect("\"all\" al\"l\" \"\"", "1: <all> all <>\n");
    expect("\"a\"\"b\" \"\"\"\" a\"\"b", "1: <a\"b> <\"> ab\n");
    expect("\"open to the end, # all", "1: <open to the end, # all>\n");
    expect("a\\b c\\ d", "1: a\\b c\\ d\n");
    expect("\xEF\xBB\xBFlocal", "1: \xEF\xBB\xBFlocal\n");
    expect("a\vb\fc", "1: a\vb\fc\n");
}

static void continuations(void **state)
{
    (void)state;
    expect("a \\\nb\nc", "1: a b\n3: c\n");
    expect("a\\\nb", "1: ab\n");
    expect("# c \\\nb\nd", "3: d\n");
    expect("\"a\\\nb\"", "1: <ab>\n");
    expect("x\\\\\n\ny", "1: x\\\n3: y\n");
    expect("a\\\r\nb", "1: ab\n");
    expect("a\\", "1: a\n");
    expect("a\r\r\n", "1: a\n");
    expect_version(STR("a\\\nb"), 13, "1: a\\\n2: b\n");
}

static void nul_bytes(void **state)
{
    (void)state;
    expect("trust\0x\nlocal y", "1: trustlocal y\n");
    expect("a\0\n\nb", "1: a\n2: b\n");
    expect("\0a\nb\nc", "1: b\n2: c\n");
    expect("a\0", "1: a\n");
}

static const struct file tree[] = {
    { "/d/users", "alice bob,\"c d\"\n# none\n@more", 0 },
    { "/d/more", "+grp", 0 },
    { "/d/nothing", "# none\n", 0 },
    { "/d/self", "@self", 0 },
    { "/d/loop", "include loop", 0 },
    { "/d/inc", "x\n y @nofile\nz", 0 },
    { "/d/secret", "", EACCES },
    { "/d/dir", NULL, -EISDIR },
    { "/d/conf.d", NULL, 0 },
    { "/d/conf.d/b.conf", "from b", 0 },
    { "/d/conf.d/a.conf", "from a", 0 },
    { "/d/conf.d/.h.conf", "hidden", 0 },
    { "/d/conf.d/x.txt", "other", 0 },
    { "/d/conf.d/sub.conf", NULL, 0 },
    { "/d/bad.d/a.conf", "", EACCES },
    { "/d/bad.d/b.conf", "from b", 0 },
    { "/d/gone.d/a.conf", "", ESTALE },
    { "/etc/abs", "abs", 0 },
    { NULL },
};

static void expect_tree(const char *text, const char *expected)
{
    struct result r;

    lex_bytes(&r, tree, str_c(text), 18);
    assert_string_equal(r.text, expected);
    arena_fini(&r.arena);
}

static void references(void **state)
{
    (void)state;
    expect_tree("local @users all", "1: local alice|bob|<c d>|+grp all\n");
    expect_tree("local x,@more,y all", "1: local x|+grp|y all\n");
    expect_tree("local @nothing all", "1: local all\n");
    expect_tree("\"@users\" @ @\"users\"", "1: <@users> @ alice|bob|<c d>|+grp\n");
    expect_tree("a @/etc/abs", "1: a abs\n");
    expect_tree("a @secret b\nc", "1:E:could not open file \"/d/secret\": Permission denied\n2: c\n");
    expect_tree("a @inc", "1:E:could not open file \"/d/nofile\": No such file or directory\n");
    expect_tree("a @self", "1:E:could not open file \"/d/self\": maximum nesting depth exceeded\n");
    expect_tree("a @dir b", "1: a b\n");
}

static void includes(void **state)
{
    (void)state;
    expect_tree("a\ninclude /etc/abs\nb", "1: a\n1: abs\n3: b\n");
    expect_tree("include inc\nb", "1: x\n2:E:could not open file \"/d/nofile\": No such file or directory\n"
                                  "3: z\n2: b\n");
    expect_tree("\"include\" ../d/./more,ignored", "1: +grp\n");
    expect_tree("include a b", "1: include a b\n");
    expect_tree("include", "1: include\n");
    expect_tree("include nofile", "1:E:could not open file \"/d/nofile\": No such file or directory\n");
    expect_tree("include_if_exists nofile\na", "2: a\n");
    expect_tree("include_if_exists secret", "1:E:could not open file \"/d/secret\": Permission denied\n");
    expect_tree("include loop", "1:E:could not open file \"/d/loop\": maximum nesting depth exceeded\n");
    expect_tree("include_dir conf.d", "1: from a\n1: from b\n");
    expect_tree("include_dir nodir", "1:E:could not open directory \"/d/nodir\"\n");
    expect_tree("include_dir \" \"", "1:E:empty configuration directory name\n");
    expect_tree("include_dir gone.d", "1:E:could not stat file \"/d/gone.d/a.conf\"\n");
    /* Each file behind the bad one repeats its error, as the server's view shows it. */
    expect_tree("include_dir bad.d",
                "1: from b\n1:E:could not open file \"/d/bad.d/a.conf\": Permission denied\n"
                "could not open file \"/d/bad.d/a.conf\": Permission denied\n");
    expect_version(STR("include x"), 15, "1: include x\n");
}

static void messages_and_paths(void **state)
{
    (void)state;
    struct result r;
    const struct hba_lex_path *path;
    size_t n = 0;

    lex_bytes(&r, tree, STR("include_if_exists nofile\ninclude_dir nodir\na @dir\nb @users"), 18);
    const struct diag *diag = STAILQ_FIRST(&r.diags.list);
    assert_str(diag->message, "could not open file \"/d/nofile\": No such file or directory");
    assert_int_equal(diag->severity, SEV_LOG);
    diag = STAILQ_NEXT(diag, next);
    assert_str(diag->message, "skipping missing authentication file \"/d/nofile\"");
    assert_int_equal(diag->severity, SEV_LOG);
    diag = STAILQ_NEXT(diag, next);
    assert_str(diag->message,
               "could not open configuration directory \"/d/nodir\": No such file or directory");
    assert_int_equal(diag->code, E_NO_FILE);
    assert_int_equal(diag->line, 2);
    diag = STAILQ_NEXT(diag, next);
    assert_str(diag->message, "could not read file \"/d/dir\": Is a directory");
    assert_int_equal(diag->severity, SEV_LOG);
    assert_null(STAILQ_NEXT(diag, next));
    assert_int_equal(r.diags.errors, 1);
    assert_true(r.lines.failed);
    STAILQ_FOREACH (path, &r.lines.paths, next)
        n++;
    assert_int_equal(n, 6);
    arena_fini(&r.arena);
}

static void raw_lines(void **state)
{
    (void)state;
    struct result r;

    lex_bytes(&r, NULL, STR("local all \\\n all trust # why\r\n"), 18);
    assert_str(STAILQ_FIRST(&r.lines.list)->raw, "local all  all trust # why");
    assert_str(STAILQ_FIRST(&r.lines.list)->file, "/d/pg_hba.conf");
    arena_fini(&r.arena);
}

static void top_file(void **state)
{
    (void)state;
    struct hba_lex_params params = { NULL, 18, NULL };
    struct arena arena;
    struct hba_lines lines;
    struct err e;

    arena_init(&arena, 1 << 20, 1024);
    assert_int_equal(hba_lex_file(&params, STR("/nowhere/./x"), &arena, &lines, &e), E_NO_FILE);
    assert_string_equal(e.message, "could not open file \"/nowhere/x\": No such file or directory");
    assert_int_equal(hba_lex_file(&params, STR("/dev/null"), &arena, &lines, &e), OK);
    assert_int_equal(lines.n, 0);
    arena_fini(&arena);
}

static void canonical_paths(void **state)
{
    (void)state;
    static const struct {
        const char *base, *path, *expected;
    } cases[] = {
        { "/a/b", "c", "/a/b/c" },   { "/a/b", "../c", "/a/c" }, { "/a", "../../..", "/" },
        { "/a", ".//./b/", "/a/b" }, { "/a", "/x//y/", "/x/y" }, { "/", "x", "/x" },
    };
    struct arena arena;
    struct str out;

    arena_init(&arena, 1 << 20, 1024);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(hba_lex_path(&arena, str_c(cases[i].base), str_c(cases[i].path), &out));
        assert_str(out, cases[i].expected);
    }
    arena_fini(&arena);
}

/* A file that includes itself twice would be read a thousand times, one that does so often is stopped. */
static void many_files(void **state)
{
    (void)state;
    static const struct file bomb[] = {
        { "/d/twice", "include twice\ninclude twice\n", 0 },
        { "/d/often", "include often\ninclude often\ninclude often\ninclude often\n", 0 },
        { NULL },
    };
    const struct hba_lex_fs fs = { memory_read, memory_list, memory_is_dir, (void *)(uintptr_t)bomb };
    struct hba_lex_params params = { &fs, 18, NULL };
    struct hba_lines lines;
    struct arena arena;
    struct err e;

    arena_init(&arena, 64 << 20, 1024);
    assert_int_equal(hba_lex_file(&params, STR("/d/twice"), &arena, &lines, &e), OK);
    assert_int_equal(lines.n, 2048);
    assert_int_equal(hba_lex_file(&params, STR("/d/often"), &arena, &lines, &e), E_LIMIT);
    assert_string_equal(e.message, "file \"/d/often\" includes more than 4096 files");
    arena_fini(&arena);
}

static const char sample[] = "host \"a b\",@users all 10.0.0.0/8 md5 map=\"x\"\"y\" # end \\\n"
                             "local all \\\n all trust\ninclude inc\ninclude_dir conf.d\n";

/* Whole, cut at every length, and with every bit flipped: it ends, in bounds. */
static void hostile(void **state)
{
    (void)state;
    struct result r;
    char copy[sizeof sample];

    for (size_t n = 0; n < sizeof sample; n++) {
        lex_bytes(&r, tree, str_of(sample, n), 18);
        arena_fini(&r.arena);
    }
    for (size_t bit = 0; bit < 8 * (sizeof sample - 1); bit++) {
        memcpy(copy, sample, sizeof copy);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
        lex_bytes(&r, tree, str_of(copy, sizeof copy - 1), 18);
        arena_fini(&r.arena);
    }
}

static void memory_runs_out(void **state)
{
    (void)state;
    const struct hba_lex_fs fs = { memory_read, memory_list, memory_is_dir, (void *)(uintptr_t)tree };
    struct hba_lex_params params = { &fs, 18, NULL };
    struct hba_lines lines;
    enum code code = E_NOMEM;

    for (size_t cap = 0; code != OK && cap < 100000; cap += 16) {
        struct arena arena;
        arena_init(&arena, cap, 64);
        code = hba_lex_bytes(&params, STR("/d/f"), bytes_of(sample, sizeof sample - 1), &arena, &lines);
        assert_true(code == OK || code == E_NOMEM);
        arena_fini(&arena);
    }
    assert_int_equal(code, OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens),     cmocka_unit_test(continuations),   cmocka_unit_test(nul_bytes),
        cmocka_unit_test(references), cmocka_unit_test(includes),        cmocka_unit_test(messages_and_paths),
        cmocka_unit_test(raw_lines),  cmocka_unit_test(top_file),        cmocka_unit_test(canonical_paths),
        cmocka_unit_test(hostile),    cmocka_unit_test(memory_runs_out), cmocka_unit_test(many_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
