/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the table of a spec's keys, and with it parsing, printing and copying. A kind knows one D-Bus type and how the
 * structure keeps it; spec-check.c knows what is accepted. */
#include "model/spec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "model/spec-check.h"
#include "model/spec-kind.h"

#define UNKNOWN_KEY_MAX 32U /* longer ones resemble none of ours */
#define NEAR_EDITS_MAX 3U

static bool string_parse(json_t *value, void *field, const SpecCheck *check) {
        char **s = field;

        if (!json_is_string(value))
                return false;
        g_free(*s);
        *s = g_strdup(json_string_value(value));
        return true;
}

static json_t *string_print(const void *field) {
        return json_string(*(char *const *) field);
}

static void string_clear(void *field) {
        g_clear_pointer((char **) field, g_free);
}

static const SpecKind string_kind = {string_parse, string_print, string_clear};

static bool is_string_array(json_t *value) {
        size_t i;
        json_t *e;

        if (!json_is_array(value))
                return false;
        json_array_foreach(value, i, e) if (!json_is_string(e)) return false;
        return true;
}

static bool strings_parse(json_t *value, void *field, const SpecCheck *check) {
        char ***strings = field;
        size_t i;
        json_t *e;

        if (!is_string_array(value))
                return false;
        g_strfreev(*strings);
        *strings = g_new0(char *, json_array_size(value) + 1);
        json_array_foreach(value, i, e)(*strings)[i] = g_strdup(json_string_value(e));
        return true;
}

static json_t *strings_print(const void *field) {
        json_t *a = json_array();

        for (char **s = *(char **const *) field; *s; s++)
                json_array_append_new(a, json_string(*s));
        return a;
}

static void strings_clear(void *field) {
        g_clear_pointer((char ***) field, g_strfreev);
}

static const SpecKind strings_kind = {strings_parse, strings_print, strings_clear};

static bool u32_parse(json_t *value, void *field, const SpecCheck *check) {
        json_int_t v = json_integer_value(value);

        if (!json_is_integer(value) || v < 0 || v > UINT32_MAX)
                return false;
        *(uint32_t *) field = (uint32_t) v;
        return true;
}

static json_t *u32_print(const void *field) {
        return json_integer(*(const uint32_t *) field);
}

static void nothing_clear(void *field) {
}

static const SpecKind u32_kind = {u32_parse, u32_print, nothing_clear};

/* JSON integers end at INT64_MAX; a D-Bus t above it arrives negative, and is larger than any limit. */
static bool u64_parse(json_t *value, void *field, const SpecCheck *check) {
        if (!json_is_integer(value))
                return false;
        *(uint64_t *) field = (uint64_t) json_integer_value(value);
        return true;
}

static json_t *u64_print(const void *field) {
        return json_integer((json_int_t) * (const uint64_t *) field);
}

static const SpecKind u64_kind = {u64_parse, u64_print, nothing_clear};

static bool bool_parse(json_t *value, void *field, const SpecCheck *check) {
        if (!json_is_boolean(value))
                return false;
        *(bool *) field = json_is_true(value);
        return true;
}

static json_t *bool_print(const void *field) {
        return json_boolean(*(const bool *) field);
}

static const SpecKind bool_kind = {bool_parse, bool_print, nothing_clear};

static bool accelerator_parse(json_t *value, void *field, const SpecCheck *check) {
        if (!json_is_string(value))
                return false;

        Accelerator a = accelerator_from_string(json_string_value(value));

        if (a == ACCELERATOR_INVALID) {
                g_autofree char *quoted = problem_quote(json_string_value(value));

                spec_problem(check, "%s is not one of 'auto', 'kvm', 'tcg'", quoted);
                return true;
        }
        *(Accelerator *) field = a;
        return true;
}

static json_t *accelerator_print(const void *field) {
        return json_string(accelerator_to_string(*(const Accelerator *) field));
}

static const SpecKind accelerator_kind = {accelerator_parse, accelerator_print, nothing_clear};

static void labels_clear(void *field) {
        g_clear_pointer((GHashTable **) field, g_hash_table_unref);
}

static bool labels_parse(json_t *value, void *field, const SpecCheck *check) {
        GHashTable **labels = field;
        const char *key;
        json_t *e;

        if (!json_is_object(value))
                return false;
        json_object_foreach(value, key, e) if (!json_is_string(e)) return false;
        labels_clear(labels);
        if (json_object_size(value) > 0)
                *labels = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        json_object_foreach(value, key, e) g_hash_table_insert(*labels, g_strdup(key), g_strdup(json_string_value(e)));
        return true;
}

/* Sorted: two prints of one spec are the same. */
static json_t *labels_print(const void *field) {
        GHashTable *labels = *(GHashTable *const *) field;
        g_autoptr(GList) keys = labels ? g_list_sort(g_hash_table_get_keys(labels), (GCompareFunc) strcmp) : NULL;
        json_t *o = json_object();

        for (GList *k = keys; k; k = k->next)
                json_object_set_new(o, k->data, json_string(g_hash_table_lookup(labels, k->data)));
        return o;
}

static const SpecKind labels_kind = {labels_parse, labels_print, labels_clear};

/* The field is ports; n_ports goes with it. */
static bool ports_parse(json_t *value, void *field, const SpecCheck *check) {
        VMSpec *spec = (VMSpec *) ((char *) field - offsetof(VMSpec, ports));
        size_t i;
        json_t *e;

        if (!is_string_array(value))
                return false;
        if (json_array_size(value) > SPEC_PORTS_MAX) {
                spec_problem(
                        check, "has %zu elements, at most %u are accepted", json_array_size(value), SPEC_PORTS_MAX);
                return true;
        }
        g_free(spec->ports);
        spec->ports = g_new0(PortForward, json_array_size(value));
        spec->n_ports = 0;
        json_array_foreach(value, i, e) {
                if (port_forward_parse(json_string_value(e), &spec->ports[spec->n_ports]) == 0) {
                        spec->n_ports++;
                } else {
                        g_autofree char *quoted = problem_quote(json_string_value(e));

                        spec_problem(check, "%s: %s", quoted, PORT_ACCEPTED);
                }
        }
        return true;
}

static json_t *ports_print(const void *field) {
        const VMSpec *spec = (const VMSpec *) ((const char *) field - offsetof(VMSpec, ports));
        json_t *a = json_array();

        for (size_t i = 0; i < spec->n_ports; i++) {
                g_autofree char *text = network_is_bridge(spec->network) ? port_bare_to_string(&spec->ports[i])
                                                                         : port_forward_to_string(&spec->ports[i]);

                json_array_append_new(a, json_string(text));
        }
        return a;
}

static void ports_clear(void *field) {
        g_clear_pointer((PortForward **) field, g_free);
}

static const SpecKind ports_kind = {ports_parse, ports_print, ports_clear};

static void nested_problem(const char *text, void *userdata) {
        if (userdata)
                spec_problem(userdata, "%s", text);
}

/* The defaults are those of the key; the rest is probe.c's. */
static bool ready_parse(json_t *value, void *field, const SpecCheck *check) {
        probe_clear(field);
        probe_init_ready(field);
        return probe_parse(value, field, nested_problem, (void *) check);
}

static bool health_parse(json_t *value, void *field, const SpecCheck *check) {
        probe_clear(field);
        probe_init_health(field);
        return probe_parse(value, field, nested_problem, (void *) check);
}

static json_t *probe_print(const void *field) {
        return probe_to_json(field);
}

static void probe_field_clear(void *field) {
        probe_clear(field);
}

static const SpecKind ready_kind = {ready_parse, probe_print, probe_field_clear};
static const SpecKind health_kind = {health_parse, probe_print, probe_field_clear};

static bool limits_field_parse(json_t *value, void *field, const SpecCheck *check) {
        return limits_parse(value, field, nested_problem, (void *) check);
}

static json_t *limits_print(const void *field) {
        return limits_to_json(field);
}

static const SpecKind limits_kind = {limits_field_parse, limits_print, nothing_clear};

static const SpecMember probe_members[] = {{"Kind", "s"}, {"Pattern", "s"}, {"Port", "q"}, {"Path", "s"},
        {"StartPeriod", "t"}, {"Interval", "t"}, {"Timeout", "t"}, {"Retries", "u"}, {}};
static const SpecMember limits_members[] = {
        {"CPUWeight", "t"}, {"CPUQuotaPerSec", "t"}, {"MemoryMax", "t"}, {"IOWeight", "t"}, {}};

#define FIELD(kind_, member, check_)                                                                                   \
        &(const struct SpecField) {                                                                                    \
                &kind_##_kind, offsetof(VMSpec, member), check_                                                        \
        }

/* clang-format off */
static const SpecKey keys[] = {
        {"Image", "s", "image", FIELD(string, image, spec_check_image)},
        {"Target", "s", "target", FIELD(string, target, spec_check_target)},
        {"RootDirectory", "s", "root_directory", FIELD(string, root_directory, spec_check_root_directory)},
        {"Command", "as", "cmd", FIELD(strings, command, spec_check_command)},
        {"Environment", "as", "environment", FIELD(strings, environment, spec_check_environment)},
        {"User", "s", "user", FIELD(string, user, spec_check_user)},
        {"Hostname", "s", "hostname", FIELD(string, hostname, spec_check_hostname)},
        {"WorkingDirectory", "s", "working_directory", FIELD(string, working_directory, spec_check_working_directory)},
        {"MemoryMiB", "u", "memory_mb", FIELD(u32, memory_mib, spec_check_memory)},
        {"VCPUs", "u", "vcpus", FIELD(u32, vcpus, spec_check_vcpus)},
        {"Network", "s", "network", FIELD(string, network, spec_check_network)},
        {"Address", "s", "address", FIELD(string, address, spec_check_address)},
        {"DNS", "as", "dns", FIELD(strings, dns, spec_check_dns)},
        {"Ports", "as", "ports", FIELD(ports, ports, spec_check_ports)},
        {"Kernel", "s", "kernel", FIELD(string, kernel, spec_check_kernel)},
        {"Architecture", "s", "architecture", FIELD(string, architecture, spec_check_architecture)},
        {"Restart", "s", "restart", FIELD(string, restart, spec_check_restart)},
        {"Profile", "s", "profile", FIELD(string, profile, spec_check_profile)},
        {"Accelerator", "s", "accelerator", FIELD(accelerator, accelerator, NULL)},
        {"StopTimeout", "t", "stop_timeout", FIELD(u64, stop_timeout, spec_check_stop_timeout)},
        {"Labels", "a{ss}", "labels", FIELD(labels, labels, spec_check_labels)},
        {"Ephemeral", "b", "ephemeral", FIELD(bool, ephemeral, NULL)},
        {"Credentials", "a{say}", "credentials", FIELD(spec_credentials, credentials, spec_check_credentials)},
        {"Volumes", "as", "volumes", FIELD(strings, volumes, spec_check_volumes)},
        {"Disks", "a(sts)", "disks", FIELD(spec_disks, disks, spec_check_disks)},
        {"Shares", "as", "shares", FIELD(strings, shares, spec_check_shares)},
        {"VolumeArchives", "a(sh)", "volume_archives", FIELD(strings, archives, spec_check_archives)},
        {"Ready", "a{sv}", "ready", FIELD(ready, ready, spec_check_ready), probe_members},
        {"Health", "a{sv}", "health", FIELD(health, health, spec_check_health), probe_members},
        {"Limits", "a{sv}", "limits", FIELD(limits, limits, NULL), limits_members},
        {NULL},
};
/* clang-format on */

const SpecKey *spec_keys(void) {
        return keys;
}

const SpecKey *spec_key_find(const char *name) {
        for (const SpecKey *k = keys; k->name; k++)
                if (g_str_equal(k->name, name))
                        return k;
        return NULL;
}

static void *field_of(const VMSpec *spec, const SpecKey *k) {
        return (char *) spec + k->field->offset;
}

static VMSpec *spec_new(const SpecLimits *limits) {
        VMSpec *s = g_new0(VMSpec, 1);

        s->image = g_strdup("");
        s->target = g_strdup(TARGET_LINUX);
        s->root_directory = g_strdup("");
        s->command = g_new0(char *, 1);
        s->environment = g_new0(char *, 1);
        s->user = g_strdup("");
        s->hostname = g_strdup("");
        s->working_directory = g_strdup("");
        s->memory_mib = limits->memory_mib_default;
        s->vcpus = limits->vcpus_default;
        s->network = g_strdup(limits->default_network ? limits->default_network : NETWORK_USER);
        s->address = g_strdup("");
        s->dns = g_new0(char *, 1);
        s->kernel = g_strdup("");
        s->profile = g_strdup("");
        s->restart = g_strdup("no");
        s->architecture = g_strdup(limits->architecture);
        s->stop_timeout = limits->stop_timeout_default;
        probe_init_ready(&s->ready);
        probe_init_health(&s->health);
        s->credentials = g_new0(char *, 1);
        s->volumes = g_new0(char *, 1);
        s->archives = g_new0(char *, 1);
        s->shares = g_new0(char *, 1);
        return s;
}

void vm_spec_free(VMSpec *spec) {
        if (!spec)
                return;
        for (const SpecKey *k = keys; k->name; k++)
                k->field->kind->clear(field_of(spec, k));
        g_free(spec);
}

/* Levenshtein's distance without regard to case; both at most UNKNOWN_KEY_MAX long. */
static unsigned edits(const char *a, const char *b) {
        unsigned row[UNKNOWN_KEY_MAX + 1];
        size_t n = strlen(b);

        for (unsigned j = 0; j <= n; j++)
                row[j] = j;
        for (unsigned i = 1; a[i - 1]; i++) {
                unsigned diagonal = row[0];

                row[0] = i;
                for (unsigned j = 1; j <= n; j++) {
                        unsigned above = row[j];
                        bool same = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]);

                        row[j] = MIN(MIN(above, row[j - 1]) + 1, diagonal + (same ? 0 : 1));
                        diagonal = above;
                }
        }
        return row[n];
}

/* The key that was probably meant: at most NEAR_EDITS_MAX and a third of its letters away; NULL: none is near. */
static const char *nearest_key(const char *name) {
        const char *best = NULL;
        unsigned least = NEAR_EDITS_MAX + 1;

        if (strlen(name) > UNKNOWN_KEY_MAX)
                return NULL;
        for (const SpecKey *k = keys; k->name; k++) {
                unsigned d = edits(name, k->name);

                if (d < least && d * 3 <= strlen(k->name)) {
                        least = d;
                        best = k->name;
                }
        }
        return best;
}

static void report_unknown_keys(json_t *object, GPtrArray *problems) {
        const char *name;
        json_t *value;

        json_object_foreach(object, name, value) {
                if (spec_key_find(name) || problems->len >= SPEC_PROBLEMS_MAX)
                        continue;

                g_autofree char *quoted = problem_quote(name);
                const char *near = nearest_key(name);

                g_ptr_array_add(problems,
                        near ? problem_new("InvalidSpec", name, "unknown key %s; did you mean '%s'?", quoted, near)
                             : problem_new("InvalidSpec", name, "unknown key %s", quoted));
        }
}

static const char *json_type_name(json_t *value) {
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return "a dictionary";
        case JSON_ARRAY:
                return "an array";
        case JSON_STRING:
                return "a string";
        case JSON_INTEGER:
                return "a number";
        case JSON_REAL:
                return "a fraction";
        case JSON_TRUE:
        case JSON_FALSE:
                return "a boolean";
        default:
                return "nothing";
        }
}

static void report_wrong_type(const SpecKey *k, json_t *value, const SpecCheck *check) {
        static const char accepted[] = "expected a value of D-Bus signature";

        if (json_is_integer(value) && g_str_equal(k->signature, "u"))
                spec_problem(check, "%s '%s', %" JSON_INTEGER_FORMAT " is not between 0 and %u", accepted, k->signature,
                        json_integer_value(value), UINT32_MAX);
        else if (json_is_array(value) && json_array_size(value) > 0)
                spec_problem(check, "%s '%s', got an array with other elements", accepted, k->signature);
        else
                spec_problem(check, "%s '%s', got %s", accepted, k->signature, json_type_name(value));
}

/* A record says null where it says nothing. */
static json_t *value_of(json_t *object, const SpecKey *k, bool of_record) {
        json_t *v = json_object_get(object, of_record ? k->record : k->name);

        return of_record && json_is_null(v) ? NULL : v;
}

static VMSpec *parse_keys(json_t *object, bool of_record, const SpecLimits *limits, GPtrArray *problems) {
        VMSpec *spec = spec_new(limits);

        for (const SpecKey *k = keys; k->name; k++) {
                json_t *value = value_of(object, k, of_record);
                SpecCheck check = {limits, problems, k->name};
                guint n = problems->len;

                if (value && !k->field->kind->parse(value, field_of(spec, k), &check))
                        report_wrong_type(k, value, &check);
                if (problems->len == n && k->field->check)
                        k->field->check(spec, &check);
        }
        if (spec_is_nanos(spec) && !value_of(object, spec_key_find("StopTimeout"), of_record))
                spec->stop_timeout = MAX(spec->stop_timeout, SPEC_NANOS_STOP_TIMEOUT);
        return spec;
}

int vm_spec_parse(json_t *object, const SpecLimits *limits, GPtrArray *problems, VMSpec **ret) {
        guint before = problems->len;
        g_autoptr(VMSpec) spec = parse_keys(object, false, limits, problems);

        report_unknown_keys(object, problems);
        if (problems->len > before || problems->len >= SPEC_PROBLEMS_MAX)
                return -EINVAL;
        *ret = g_steal_pointer(&spec);
        return 0;
}

int vm_spec_parse_record(json_t *record, const SpecLimits *limits, GPtrArray *problems, VMSpec **ret) {
        SpecLimits form = *limits;
        g_autoptr(VMSpec) spec = NULL;

        form.form_only = true;
        form.default_network = NETWORK_USER;
        spec = parse_keys(record, true, &form, problems);
        if (problems->len > 0)
                return -EINVAL;
        *ret = g_steal_pointer(&spec);
        return 0;
}

json_t *vm_spec_to_json(const VMSpec *spec) {
        json_t *o = json_object();

        for (const SpecKey *k = keys; k->name; k++)
                json_object_set_new(o, k->name, k->field->kind->print(field_of(spec, k)));
        return o;
}

bool spec_is_probed_by_frames(const VMSpec *spec) {
        return spec_is_nanos(spec) && g_str_equal(spec->network, NETWORK_USER) &&
               (probe_kind_is_connection(spec->ready.kind) || probe_kind_is_connection(spec->health.kind));
}

bool spec_is_nanos(const VMSpec *spec) {
        return g_str_equal(spec->target, TARGET_NANOS);
}

VMSpec *vm_spec_copy(const VMSpec *spec) {
        static const SpecLimits none = {.architecture = ""};
        VMSpec *copy = spec_new(&none);

        for (const SpecKey *k = keys; k->name; k++) {
                json_t *value = k->field->kind->print(field_of(spec, k));

                k->field->kind->parse(value, field_of(copy, k), NULL);
                json_decref(value);
        }
        return copy;
}
