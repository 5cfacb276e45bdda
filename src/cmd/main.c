/* The walk over tables/commands.def. */
#include "clerk/process.h"
#include "cmd/cmd.h"
#include "cmd/help.h"
#include "cmd/psql.h"
#include "cmd/table.h"
#include "cmd/usage.h"
#include "os/parent.h"

#include <locale.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/prctl.h>

static int (*const runs[CMD_COUNT])(struct cmd *cmd) = {
#define COMMAND(name, arguments, summary, description) [CMD_##name] = cmd_##name,
#define VERB(command, name, arguments, summary)
#define OPT(command, id, long_name, letter, argument, help)
#define EXAMPLE(command, line, says)
#include "commands.def"
#undef COMMAND
#undef VERB
#undef OPT
#undef EXAMPLE
};

static int flush_stdout(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_FINE;
    (void)fprintf(stderr, "pgseal: could not write the output: %m\n");
    return EXIT_CANNOT_RUN;
}

static int run_command(enum cmd_id command, int argc, char **argv)
{
    char **arranged = calloc((size_t)argc + 2, sizeof *arranged);
    struct cmd cmd;

    if (!arranged) {
        (void)fprintf(stderr, "pgseal: out of memory\n");
        return EXIT_CANNOT_RUN;
    }
    if (command == CMD_psql) { /* the only command whose options are mostly another program's */
        argc = psql_arrange(argc, argv, arranged);
        argv = arranged;
    }
    int status = cmd_parse(&cmd, command, argc, argv);
    if (status < 0)
        status = cmd_finish(&cmd, runs[command](&cmd));
    cmd_fini(&cmd);
    free(arranged);
    return status;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;

    /* Whatever the command, keys and passwords in its memory get into no core file and no debugger's hands. */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    if (!word) {
        help_print(stderr);
        return EXIT_USAGE;
    }
    if (str_is(str_c(word), "--help") || str_is(str_c(word), "-h")) {
        help_print(stdout);
        return flush_stdout();
    }
    if (str_is(str_c(word), "--version") || str_is(str_c(word), "-V")) {
        (void)printf("pgseal %s (%s)\n", PGSEAL_VERSION, OpenSSL_version(OPENSSL_VERSION));
        return flush_stdout();
    }
    if (str_is(str_c(word), "clerk")) /* nobody types it: `serve` starts it */
        return clerk_process(PARENT_CLERK_FD);
    enum cmd_id command;
    if (command_find(str_c(word), &command))
        return run_command(command, argc - 1, argv + 1);
    return command_unknown(word);
}
