/* Rules from files as they are, or as the running gate read them. */
#include "cmd/explain_load.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/explain_host.h"
#include "cmd/gate_dir.h"
#include "cmd/rules.h"
#include "cmd/usage.h"
#include "conf/settings.h"
#include "gate/load/rule_check.h"
#include "os/files.h"
#include "policy/archive.h"
#include "policy/policy.h"

static enum code load_settings(const struct cmd *cmd, struct settings **out, struct diags *diags)
{
    const char *dir = cmd_value(cmd, OPT_explain_directory);
    const struct settings_params params = { .dir = str_c(dir) };

    *out = NULL;
    return dir ? settings_load(&params, out, diags) : OK;
}

/* What the running gate's rules were read from, whatever its files say now. */
static enum code load_running(const struct cmd *cmd, struct buf *bytes, struct archive **out,
                              struct policy_params *params, struct err *e)
{
    char path[OS_PATH_MAX];
    struct archive_head head;

    TRY(gate_state_path(cmd_value(cmd, OPT_explain_directory), ARCHIVE_FILE, path, e));
    enum code code = os_read_file(path, bytes, e);
    if (code == E_NO_FILE)
        err_hint(
            e,
            "No gate has been started here yet. Start it with: pgseal serve -D %s; or leave out --running.",
            cmd_value(cmd, OPT_explain_directory));
    TRY(code);
    TRY(archive_open(buf_bytes(bytes), out, &head, e));
    params->hba_file = head.hba_file;
    params->ident_file = head.ident_file;
    params->ssl_on = head.ssl_on;
    params->features.roles_known = head.roles_known;
    params->features.oauth_unchecked = true;
    params->fs = archive_fs(*out);
    return OK;
}

static int load_running_policy(const struct cmd *cmd, struct policy **out, struct diags *diags)
{
    AUTO(buf) struct buf bytes = BUF_INIT(ARCHIVE_MAX);
    struct archive *archive = NULL;
    struct policy_params params;
    struct err e;

    if (!cmd_value(cmd, OPT_explain_directory) || cmd_value(cmd, OPT_explain_hba) ||
        cmd_value(cmd, OPT_explain_ident))
        return cmd_usage(cmd, "--running requires -D DIR, and cannot be used with --hba or --ident");
    int status = rules_params(cmd, NULL, &params);
    if (status >= 0)
        return status;
    enum code code = load_running(cmd, &bytes, &archive, &params, &e);
    if (code != OK) {
        archive_free(archive);
        return cmd_error(cmd, &e);
    }
    code = policy_load(&params, out, diags);
    archive_free(archive);
    (void)cmd_diags(cmd, diags);
    return code == OK ? -1 : code_exit(code);
}

static int load_files(const struct cmd *cmd, struct str sni, struct policy **out,
                      struct explain_host *out_host, struct diags *diags)
{
    const char *hba = cmd_value(cmd, OPT_explain_hba), *ident = cmd_value(cmd, OPT_explain_ident);
    __attribute__((cleanup(settings_unrefp))) struct settings *settings = NULL;
    struct policy_params params;
    struct err e = { .code = OK };

    int status = rules_params(cmd, NULL, &params);
    if (status >= 0)
        return status;
    if (!hba && !cmd_value(cmd, OPT_explain_directory))
        return cmd_usage(cmd, "no rules given: use -D DIR or --hba FILE");
    enum code code = load_settings(cmd, &settings, diags);
    if (settings) {
        params.hba_file = str_c(settings->hba_file.path);
        params.ident_file = str_c(settings->ident_file.path);
        params.ssl_on = settings->ssl;
        params.features.roles_known = rule_check_knows_roles(settings);
    }
    if (hba)
        params.hba_file = str_c(hba);
    if (ident)
        params.ident_file = str_c(ident);
    params.features.oauth_unchecked = true;
    if (code == OK)
        code = policy_load(&params, out, diags);
    (void)cmd_diags(cmd, diags);
    if (code == OK && explain_host_find(settings, sni, diags->arena, out_host, &e) != OK)
        return cmd_error(cmd, &e);
    return code == OK ? -1 : code_exit(code);
}

int explain_load(const struct cmd *cmd, struct str sni, struct policy **out, struct explain_host *out_host,
                 struct diags *diags)
{
    if (!cmd_flag(cmd, OPT_explain_running))
        return load_files(cmd, sni, out, out_host, diags);
    *out_host = (struct explain_host){ .signed_by = explain_host_common };
    return load_running_policy(cmd, out, diags);
}
