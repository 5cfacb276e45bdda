/* [src: SARIF 2.1.0, sections 3.14.8, 3.19.3 and 3.27.8] */
#include "cmd/sarif_taxa.h"

#include "audit/audit.h"
#include "cmd/certtext.h"

static void taxa_put(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

static bool member_is(json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(object, name));

    return strcmp(value ? value : "", text) == 0;
}

/* The index of the source's taxonomy. */
static size_t taxonomy_of(json_t *taxonomies, const struct check_source *source)
{
    size_t i = 0;

    for (; i < json_array_size(taxonomies); i++)
        if (member_is(json_array_get(taxonomies, i), "name", source->source) &&
            member_is(json_array_get(taxonomies, i), "version", source->edition))
            return i;
    json_t *o = json_object(), *text = json_object();
    taxa_put(text, "text", json_string(source->title));
    taxa_put(o, "name", json_string(source->source));
    if (*source->edition)
        taxa_put(o, "version", json_string(source->edition));
    taxa_put(o, "shortDescription", text);
    taxa_put(o, "isComprehensive", json_false());
    taxa_put(o, "taxa", json_array());
    (void)json_array_append_new(taxonomies, o);
    return i;
}

static size_t taxon_of(json_t *taxonomy, struct str id)
{
    json_t *taxa = json_object_get(taxonomy, "taxa"), *o;
    size_t i = 0;

    for (; i < json_array_size(taxa); i++)
        if (str_is(id, json_string_value(json_object_get(json_array_get(taxa, i), "id"))))
            return i;
    o = json_object();
    taxa_put(o, "id", json_of(id));
    (void)json_array_append_new(taxa, o);
    return i;
}

static json_t *component(json_t *taxonomies, size_t index)
{
    json_t *o = json_object();

    taxa_put(o, "name", json_incref(json_object_get(json_array_get(taxonomies, index), "name")));
    taxa_put(o, "index", json_integer((json_int_t)index));
    return o;
}

static json_t *reference(json_t *taxonomies, const struct check_source *source, struct str id)
{
    size_t index = taxonomy_of(taxonomies, source);
    size_t taxon = taxon_of(json_array_get(taxonomies, index), id);
    json_t *o = json_object();

    taxa_put(o, "id", json_of(id));
    taxa_put(o, "index", json_integer((json_int_t)taxon));
    taxa_put(o, "toolComponent", component(taxonomies, index));
    return o;
}

static bool begins_number(struct str s)
{
    return (s.n > 0 && s.p[0] >= '0' && s.p[0] <= '9') || str_starts(s, STR("V-")) ||
           str_starts(s, STR("HBA "));
}

/* Numbers follow each other, as in "2.2.7, 4.2.1"; "5929, section 4.1" is one place. */
static struct str next_number(struct str *rest)
{
    struct str all = *rest;
    size_t end = str_find(all, ',');

    while (end < all.n && !begins_number(str_trim(str_from(all, end + 1))))
        end += 1 + str_find(str_from(all, end + 1), ',');
    *rest = str_trim(str_from(all, end + 1));
    return str_first(all, end);
}

json_t *sarif_taxa(json_t *taxonomies, const struct audit_report *report, enum check check)
{
    struct check_source sources[CHECK_SOURCES_MAX];
    size_t n = check_sources(check, report->profile, report->subject->version, sources);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        /* A source without numbers is its own. */
        struct str numbers = str_c(*sources[i].number ? sources[i].number : sources[i].source);
        while (numbers.n > 0)
            (void)json_array_append_new(list, reference(taxonomies, &sources[i], next_number(&numbers)));
    }
    return list;
}

void sarif_taxa_relate(json_t *relationships, json_t *taxa)
{
    for (size_t i = 0; i < json_array_size(taxa); i++) {
        json_t *target = json_array_get(taxa, i), *o;
        bool there = false;
        for (size_t k = 0; k < json_array_size(relationships); k++)
            there = there || json_equal(json_object_get(json_array_get(relationships, k), "target"), target);
        if (there)
            continue;
        json_t *kinds = json_array();
        (void)json_array_append_new(kinds, json_string("relevant"));
        o = json_object();
        taxa_put(o, "target", json_incref(target));
        taxa_put(o, "kinds", kinds);
        (void)json_array_append_new(relationships, o);
    }
}

json_t *sarif_taxa_supported(json_t *taxonomies)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(taxonomies); i++)
        (void)json_array_append_new(list, component(taxonomies, i));
    return list;
}
