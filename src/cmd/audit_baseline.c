#include "cmd/audit_baseline.h"

#include "audit/finding.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/certtext.h"
#include "os/files.h"

#include <stdlib.h>

struct audit_baseline {
    json_t *findings; /* those not taken yet */
};

static enum code no_report(const char *path, const char *why, struct err *e)
{
    enum code code = err_set(e, E_CONFIG, "\"%s\" is not a report of pgseal audit --json: %s", path, why);

    err_hint(e, "Make one: pgseal audit --json TARGET > %s", path);
    return code;
}

/* The array of findings; NULL: `e` says why. */
static json_t *findings_of(const json_t *root, const char *path, struct err *e)
{
    json_t *findings = json_object_get(root, "findings"), *finding;
    size_t i;

    if (!json_is_array(findings)) {
        (void)no_report(path, "it has no array \"findings\"", e);
        return NULL;
    }
    json_array_foreach(findings, i, finding)
    {
        if (!json_is_string(json_object_get(finding, "id")) ||
            !json_is_string(json_object_get(finding, "about"))) {
            (void)no_report(path, "a finding has no \"id\" or no \"about\"", e);
            return NULL;
        }
    }
    return json_copy(findings);
}

enum code audit_baseline_read(const char *path, struct audit_baseline **out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    json_error_t error;

    TRY(os_read_file(path, &text, e));
    struct bytes bytes = buf_bytes(&text);
    json_t *root = json_loadb((const char *)bytes.p, bytes.n, 0, &error);
    if (!root)
        return no_report(path, error.text, e);
    json_t *findings = findings_of(root, path, e);
    json_decref(root);
    if (!findings)
        return E_CONFIG;
    struct audit_baseline *baseline = malloc(sizeof *baseline);
    if (!baseline) {
        json_decref(findings);
        return err_set(e, E_NOMEM, "out of memory");
    }
    baseline->findings = findings;
    *out = baseline;
    return OK;
}

bool audit_baseline_take(struct audit_baseline *baseline, const struct finding *finding)
{
    json_t *about, *known;
    bool found = false;
    size_t i;

    if (!baseline || !(about = json_of(finding->about)))
        return false;
    json_array_foreach(baseline->findings, i, known)
    {
        if (strcmp(json_string_value(json_object_get(known, "id")), check_id(finding->check)) != 0 ||
            !json_equal(json_object_get(known, "about"), about))
            continue;
        (void)json_array_remove(baseline->findings, i);
        found = true;
        break;
    }
    json_decref(about);
    return found;
}

void audit_baseline_free(struct audit_baseline *baseline)
{
    if (!baseline)
        return;
    json_decref(baseline->findings);
    free(baseline);
}

void audit_baseline_auto(struct audit_baseline **baseline)
{
    audit_baseline_free(*baseline);
}
