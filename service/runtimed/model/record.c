/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the form of a VM's record on disk, today's and that of the system this service replaces. */
#include "model/record.h"

#include <errno.h>
#include <string.h>

#include "model/name.h"
#include "model/record-text.h"
#include "model/rfc3339.h"

#define INVALID "InvalidSpec"
#define UUID_LENGTH 36U

static void set_string(json_t *o, const char *name, const char *value) {
        json_object_set_new(o, name, json_string(value ? value : ""));
}

static void set_time(json_t *o, const char *name, uint64_t usec) {
        if (usec == 0)
                return;

        g_autofree char *text = rfc3339_format(usec);

        set_string(o, name, text);
}

static void set_spec(json_t *o, const VMSpec *spec) {
        json_t *values = vm_spec_to_json(spec);

        for (const SpecKey *k = spec_keys(); k->name; k++)
                json_object_set(o, k->record, json_object_get(values, k->name));
        json_decref(values);
}

static json_t *host_ports_to_json(const VMRecord *r) {
        json_t *list = json_array();

        for (size_t i = 0; i < r->spec->n_ports; i++)
                json_array_append_new(list, json_integer(r->host_ports[i]));
        return list;
}

static bool says_nothing(const json_t *v) {
        return json_is_false(v) || (json_is_string(v) && json_string_length(v) == 0) ||
                (json_is_array(v) && json_array_size(v) == 0) || (json_is_object(v) && json_object_size(v) == 0);
}

/* What is empty is what a reader takes for a missing member. Most of a spec is, and a daemon with a thousand VMs reads a
 * thousand records before it answers. */
static void drop_empty(json_t *o) {
        const char *name;
        json_t *v;
        void *next;

        json_object_foreach_safe(o, next, name, v) {
                if (says_nothing(v))
                        json_object_del(o, name);
        }
}

json_t *vm_record_to_json(const VMRecord *r) {
        json_t *o = json_object();

        json_object_set_new(o, "version", json_integer(RECORD_VERSION));
        set_string(o, "name", r->name);
        set_string(o, "uuid", r->uuid);
        json_object_set_new(o, "owner", json_integer(r->owner));
        set_string(o, "owner_name", r->owner_name);
        set_spec(o, r->spec);
        set_string(o, "image_digest", r->image_digest);
        set_string(o, "image_hash", r->image_hash);
        set_string(o, "state", vm_state_to_string(r->state));
        set_string(o, "state_reason", r->state_reason);
        set_string(o, "exit_reason", exit_reason_to_string(r->exit_reason));
        json_object_set_new(o, "exit_code", json_integer(r->exit_code));
        set_time(o, "created", r->created_at);
        set_time(o, "started", r->started_at);
        set_time(o, "exited", r->exited_at);
        json_object_set_new(o, "boot_id", json_integer(r->boot_id));
        json_object_set_new(o, "restart_count", json_integer(r->restart_count));
        if (r->restart_row > 0)
                json_object_set_new(o, "restart_row", json_integer(r->restart_row));
        set_time(o, "restart_at", r->restart_at);
        json_object_set_new(o, "wanted", json_boolean(r->wanted));
        if (r->pulling)
                json_object_set_new(o, "pulling", json_true());
        set_string(o, "boot_accelerator", r->accelerator);
        if (r->profile_digest && *r->profile_digest)
                set_string(o, "boot_profile_digest", r->profile_digest);
        set_string(o, "boot_profile", r->profile);
        set_string(o, "host_boot", r->host_boot);
        set_string(o, "unit", r->unit);
        if (r->address && *r->address)
                set_string(o, "ip", r->address);
        if (r->mac && *r->mac)
                set_string(o, "mac", r->mac);
        if (r->host_ports)
                json_object_set_new(o, "host_ports", host_ports_to_json(r));
        drop_empty(o);
        return o;
}

/* Reading: a member that is missing or null is its default, one of another type or value is a problem. */
typedef struct Reader {
        json_t *object;
        Problem **ret_problem;
} Reader;

static json_t *member(const Reader *r, const char *name) {
        json_t *v = json_object_get(r->object, name);

        return json_is_null(v) ? NULL : v;
}

static int wrong(const Reader *r, const char *name, const char *accepted) {
        return problem_set(r->ret_problem, INVALID, name, "record: field '%s' is not %s", name, accepted);
}

static int read_string(const Reader *r, const char *name, char **ret) {
        json_t *v = member(r, name);

        if (v && !json_is_string(v))
                return wrong(r, name, "a string");
        *ret = g_strdup(v ? json_string_value(v) : "");
        return 0;
}

static int read_integer(const Reader *r, const char *name, json_int_t min, json_int_t max, json_int_t *ret) {
        json_t *v = member(r, name);
        json_int_t i = v ? json_integer_value(v) : 0;

        if (v && (!json_is_integer(v) || i < min || i > max)) {
                g_autofree char *accepted =
                        g_strdup_printf("a number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, min, max);

                return wrong(r, name, accepted);
        }
        *ret = i;
        return 0;
}

static int read_time(const Reader *r, const char *name, uint64_t *ret) {
        json_t *v = member(r, name);

        *ret = 0;
        if (!v || (json_is_string(v) && json_string_length(v) == 0))
                return 0;
        if (!json_is_string(v) || rfc3339_parse(json_string_value(v), ret) < 0)
                return wrong(r, name, "a time as in RFC 3339");
        return 0;
}

static bool uuid_is_valid(const char *s) {
        for (size_t i = 0; i < UUID_LENGTH; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? s[i] != '-' : !g_ascii_isdigit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
                        return false;
        }
        return s[UUID_LENGTH] == '\0';
}

/* What a record without one gets: the same at every reading. Version 8 (RFC 9562), from a hash of the name. */
static char *uuid_from_name(const char *name) {
        g_autofree char *h = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);

        return g_strdup_printf("%.8s-%.4s-8%.3s-8%.3s-%.12s", h, h + 8, h + 13, h + 17, h + 20);
}

static int read_identity(const Reader *r, VMRecord *record) {
        json_int_t owner = 0;

        if (read_string(r, "name", &record->name) < 0 || read_string(r, "uuid", &record->uuid) < 0 ||
                read_string(r, "owner_name", &record->owner_name) < 0 || read_string(r, "unit", &record->unit) < 0 ||
                read_string(r, "ip", &record->address) < 0 || read_string(r, "mac", &record->mac) < 0 ||
                read_integer(r, "owner", 0, UINT32_MAX - 1, &owner) < 0)
                return -EINVAL;
        record->owner = (uint32_t) owner;

        if (!vm_name_is_valid(record->name))
                return wrong(r, "name", VM_NAME_ACCEPTED);
        if (record->uuid[0] == '\0') {
                g_free(record->uuid);
                record->uuid = uuid_from_name(record->name);
        }
        if (!uuid_is_valid(record->uuid))
                return wrong(r, "uuid", "a lower-case UUID");

        g_autofree char *unit = vm_unit_instance(record->name);

        if (record->unit[0] == '\0') {
                g_free(record->unit);
                record->unit = g_steal_pointer(&unit);
        } else if (!g_str_equal(record->unit, unit))
                return wrong(r, "unit", unit);
        return 0;
}

/* The first problem of the spec, under the field's name. */
static int spec_problem_as_field(const Reader *r, const GPtrArray *problems) {
        const Problem *p = problems->pdata[0];
        const SpecKey *k = p->key ? spec_key_find(p->key) : NULL;
        const char *field = k ? k->record : "spec";

        return problem_set(r->ret_problem, INVALID, field, "record: field '%s' is not valid: %s", field, p->text);
}

static int read_spec(const Reader *r, const SpecLimits *limits, VMSpec **ret) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        int e = vm_spec_parse_record(r->object, limits, problems, ret);

        return e < 0 ? spec_problem_as_field(r, problems) : 0;
}

static int read_image(const Reader *r, VMRecord *record) {
        if (read_string(r, "image_digest", &record->image_digest) < 0 ||
                read_string(r, "image_hash", &record->image_hash) < 0)
                return -EINVAL;
        if (record->image_digest[0] != '\0' && !digest_is_valid(record->image_digest))
                return wrong(r, "image_digest", "sha256: and 64 hex digits");
        if (record->image_hash[0] != '\0') {
                g_autofree char *digest = g_strconcat("sha256:", record->image_hash, NULL);

                if (!digest_is_valid(digest))
                        return wrong(r, "image_hash", "64 hex digits");
        }
        return 0;
}

static int read_state(const Reader *r, VMRecord *record) {
        g_autofree char *state = NULL, *reason = NULL;

        if (read_string(r, "state", &state) < 0 || read_string(r, "exit_reason", &reason) < 0 ||
                read_string(r, "state_reason", &record->state_reason) < 0)
                return -EINVAL;
        record->state = state[0] != '\0' ? vm_state_from_string(state) : VM_STOPPED;
        if (record->state == VM_STATE_INVALID)
                return wrong(r, "state", "a state of a VM");
        record->exit_reason = exit_reason_from_string(reason);
        if (record->exit_reason == EXIT_REASON_INVALID)
                return wrong(r, "exit_reason", "a reason for which a VM ends");
        return 0;
}

static int read_boot(const Reader *r, VMRecord *record) {
        json_int_t code = 0, boot = 0, restarts = 0, row = 0;
        json_t *wanted = member(r, "wanted");

        if (read_integer(r, "exit_code", INT32_MIN, INT32_MAX, &code) < 0 ||
                read_integer(r, "boot_id", 0, UINT32_MAX, &boot) < 0 ||
                read_integer(r, "restart_count", 0, UINT32_MAX, &restarts) < 0 ||
                read_integer(r, "restart_row", 0, UINT32_MAX, &row) < 0 ||
                read_time(r, "restart_at", &record->restart_at) < 0 ||
                read_time(r, "created", &record->created_at) < 0 || read_time(r, "started", &record->started_at) < 0 ||
                read_time(r, "exited", &record->exited_at) < 0 ||
                read_string(r, "boot_accelerator", &record->accelerator) < 0 ||
                read_string(r, "boot_profile_digest", &record->profile_digest) < 0 ||
                read_string(r, "boot_profile", &record->profile) < 0 ||
                read_string(r, "host_boot", &record->host_boot) < 0)
                return -EINVAL;
        record->exit_code = (int32_t) code;
        record->boot_id = (uint32_t) boot;
        record->restart_count = (uint32_t) restarts;
        record->restart_row = (uint32_t) row;
        if (wanted && !json_is_boolean(wanted))
                return wrong(r, "wanted", "true or false");
        record->wanted = json_is_true(wanted);
        record->pulling = json_is_true(member(r, "pulling"));
        if (record->created_at == 0)
                record->created_at = record->started_at;
        return 0;
}

/* One for each port of the spec, or none: what else it may be belongs to a spec that was. */
static int read_host_ports(const Reader *r, VMRecord *record) {
        json_t *list = member(r, "host_ports");
        size_t n = json_array_size(list);

        if (list && !json_is_array(list))
                return wrong(r, "host_ports", "a list of ports");
        if (n == 0 || n != record->spec->n_ports)
                return 0;
        record->host_ports = g_new0(uint16_t, n);
        for (size_t i = 0; i < n; i++) {
                json_int_t port = json_integer_value(json_array_get(list, i));

                if (port < 1 || port > UINT16_MAX)
                        return wrong(r, "host_ports", "a list of ports");
                record->host_ports[i] = (uint16_t) port;
        }
        return 0;
}

static int read_version(const Reader *r) {
        json_int_t version;

        return read_integer(r, "version", 1, RECORD_VERSION, &version);
}

static int read_all(const Reader *r, const SpecLimits *limits, VMRecord *record) {
        if (read_version(r) < 0 || read_identity(r, record) < 0 || read_spec(r, limits, &record->spec) < 0 ||
                read_image(r, record) < 0 || read_state(r, record) < 0 || read_boot(r, record) < 0 ||
                read_host_ports(r, record) < 0)
                return -EINVAL;
        return 0;
}

int vm_record_parse(const char *text, size_t len, const SpecLimits *limits, VMRecord **ret, Problem **ret_problem) {
        g_autoptr(VMRecord) record = g_new0(VMRecord, 1);
        json_error_t error;
        Reader r = {.ret_problem = ret_problem};
        int e;

        if (len > RECORD_BYTES_MAX)
                return problem_set(ret_problem, INVALID, NULL, "record: %zu bytes, at most %u are accepted", len,
                        RECORD_BYTES_MAX);
        r.object = record_text_parse(text, len, &error);
        if (!r.object)
                return problem_set(ret_problem, INVALID, NULL, "record: not JSON at line %d", error.line);
        if (json_is_object(r.object))
                e = read_all(&r, limits, record);
        else
                e = problem_set(ret_problem, INVALID, NULL, "record: not a JSON object");
        json_decref(r.object);
        if (e < 0)
                return e;
        *ret = g_steal_pointer(&record);
        return 0;
}

void vm_record_free(VMRecord *r) {
        if (!r)
                return;
        g_free(r->name);
        g_free(r->uuid);
        g_free(r->owner_name);
        vm_spec_free(r->spec);
        g_free(r->image_digest);
        g_free(r->image_hash);
        g_free(r->state_reason);
        g_free(r->accelerator);
        g_free(r->profile_digest);
        g_free(r->profile);
        g_free(r->host_boot);
        g_free(r->unit);
        g_free(r->address);
        g_free(r->mac);
        g_free(r->host_ports);
        g_free(r);
}
