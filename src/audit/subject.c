#include "audit/subject.h"

#include "conf/settings.h"

const struct subject_setting *subject_raw(const struct audit_subject *subject, const char *name)
{
    for (size_t i = 0; i < subject->n_raw; i++)
        if (subject->raw[i].in_force && str_equal_nocase(subject->raw[i].name, str_c(name)))
            return &subject->raw[i];
    return NULL;
}

bool subject_is_unseen(const struct audit_subject *subject, const char *path)
{
    for (size_t i = 0; i < subject->n_unseen; i++)
        if (str_equal(subject->unseen[i].what, str_c(path)))
            return true;
    return false;
}

void subject_place(const struct audit_subject *subject, const char *name, struct str *out_file,
                   unsigned *out_line)
{
    const struct subject_setting *raw = subject_raw(subject, name);
    const struct setting_row *row = subject->kind != SUBJECT_GATE
                                        ? NULL
                                        : settings_find(subject->settings, str_c(name));

    *out_file = raw ? raw->file : row ? row->sourcefile : STR("");
    *out_line = raw ? raw->line : row ? row->sourceline : 0;
}

static bool is_first_ca(const struct subject_host *hosts, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (hosts[i].ca && strcmp(hosts[i].ca, hosts[at].ca) == 0)
            return false;
    return true;
}

const char *subject_client_ca(const struct audit_subject *subject, size_t i)
{
    if (subject->n_hosts == 0)
        return i == 0 ? subject->settings->ssl_ca_file.path : NULL;
    for (size_t at = 0; at < subject->n_hosts; at++)
        if (subject->hosts[at].ca && is_first_ca(subject->hosts, at) && i-- == 0)
            return subject->hosts[at].ca;
    return NULL;
}
