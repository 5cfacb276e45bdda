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
