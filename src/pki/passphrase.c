/* Passphrases. Whatever passes through memory here is wiped. */
#include "pki/passphrase.h"

#include "base/buf.h"
#include "os/command.h"
#include "os/files.h"

#include <openssl/ui.h>
#include <stdio.h>
#include <unistd.h>

enum { PROMPT_MAX = 256, FILE_LIMIT = 2 * SECRET_MAX };

bool passphrase_requested(const struct passphrase_source *source)
{
    return source->file || source->command || source->ask;
}

enum code passphrase_check(const struct passphrase_source *source, struct err *e)
{
    int n = (source->file != NULL) + (source->command != NULL) + source->ask;

    return n <= 1 ? OK
                  : err_set(e, E_USAGE, "more than one source given for the passphrase of %s", source->what);
}

static enum code first_line(struct str text, const struct passphrase_source *source, struct secret *out,
                            struct err *e)
{
    struct str line = str_first(text, str_find(text, '\n'));

    if (str_ends(line, STR("\r")))
        line.n--;
    if (line.n == 0)
        return err_set(e, E_PARAM, "the passphrase of %s is empty", source->what);
    if (str_has_nul(line))
        return err_set(e, E_PARAM, "the passphrase of %s contains a null byte", source->what);
    if (secret_set(out, str_bytes(line)) != OK)
        return err_set(e, E_LIMIT, "the passphrase of %s is longer than %d bytes", source->what, SECRET_MAX);
    return OK;
}

static enum code from_file(const struct passphrase_source *source, struct secret *out, struct err *e)
{
    struct buf text = BUF_INIT(FILE_LIMIT);
    enum code code = os_read_file(source->file, &text, e);

    if (code == OK)
        code = first_line(buf_str(&text), source, out, e);
    buf_fini_secret(&text);
    return code;
}

static enum code from_command(const struct passphrase_source *source, struct secret *out, struct err *e)
{
    /* The prompt is PostgreSQL's: it has no quotes, for %p may stand bare in the command. */
    TRY(os_command_line(source->command, "Enter PEM pass phrase:", out, e));
    if (out->n == 0)
        return err_set(e, E_PARAM, "the passphrase of %s is empty", source->what);
    return OK;
}

static enum code from_terminal(const struct passphrase_source *source, bool twice, struct secret *out,
                               struct err *e)
{
    char text[SECRET_MAX], prompt[PROMPT_MAX];

    (void)snprintf(prompt, sizeof prompt, "Passphrase of %s: ", source->what);
    int failed = UI_UTIL_read_pw_string(text, sizeof text - 1, prompt, twice);
    enum code code = failed ? err_set(e, E_IO, "no passphrase was given for %s", source->what)
                            : first_line(str_c(text), source, out, e);
    wipe(text, sizeof text);
    return code;
}

static enum code get(const struct passphrase_source *source, bool twice, struct secret *out, struct err *e)
{
    if (source->file)
        return from_file(source, out, e);
    if (source->command)
        return from_command(source, out, e);
    return from_terminal(source, twice, out, e);
}

enum code passphrase_new(const struct passphrase_source *source, struct secret *out, struct err *e)
{
    return get(source, true, out, e);
}

static enum code get_existing(void *ctx, struct secret *out, struct err *e)
{
    const struct passphrase_source *source = ctx;

    if (!passphrase_requested(source) && !isatty(STDIN_FILENO)) {
        (void)err_set(e, E_CONFIG, "%s is protected by a passphrase, and none was given", source->what);
        err_hint(e, "Name a file or a command that has it; see --help.");
        return E_CONFIG;
    }
    return get(source, false, out, e);
}

struct key_passphrase passphrase_for(struct passphrase_source *source)
{
    return (struct key_passphrase){ get_existing, source };
}
