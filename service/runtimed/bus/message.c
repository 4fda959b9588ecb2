/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns a{sv} into JSON and back; the signatures of keys decide. */
#include "bus/message.h"

#include <errno.h>
#include <string.h>

#include "bus/gate.h"

static void add_problem(GPtrArray *problems, Problem *p) {
        if (problems->len < SPEC_PROBLEMS_MAX)
                g_ptr_array_add(problems, p);
        else
                problem_free(p);
}

/* What was read of a container is the value, unless reading it has failed (r). Takes value. */
static int end_container(sd_bus_message *m, int r, json_t *value, json_t **ret) {
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                json_decref(value);
                return r;
        }
        *ret = value;
        return 0;
}

static int read_strings(sd_bus_message *m, json_t **ret) {
        json_t *array = json_array();
        const char *s;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &s)) > 0)
                (void) json_array_append_new(array, json_string(s));
        return end_container(m, r, array, ret);
}

static int read_string_map(sd_bus_message *m, json_t **ret) {
        json_t *object = json_object();
        const char *k, *v;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{ss}");
        while (r >= 0 && (r = sd_bus_message_read(m, "{ss}", &k, &v)) > 0)
                (void) json_object_set_new(object, k, json_string(v));
        return end_container(m, r, object, ret);
}

/* One credential: its size into the object, its value into the payload (NULL: nowhere). What breaks a limit is not
 * kept: the size says so to who checks the spec. */
static int read_credential(sd_bus_message *m, SpecPayload *payload, GPtrArray *problems, json_t *object) {
        const char *name;
        const void *value;
        size_t size;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'y', &value, &size);
        if (r < 0)
                return r;
        if (json_object_get(object, name) || size == 0) {
                g_autofree char *shown = problem_quote(name);

                add_problem(problems, problem_new("InvalidSpec", "Credentials",
                                              size > 0 ? "Credentials: %s is given twice"
                                                       : "Credentials: %s has no bytes; values are never returned by "
                                                         "GetSpec, so give it again",
                                              shown));
        }
        if (payload && size <= SPEC_CREDENTIAL_BYTES_MAX && json_object_size(object) < SPEC_CREDENTIALS_MAX)
                r = spec_payload_add_credential(payload, name, value, size);
        (void) json_object_set_new(object, name, json_integer((json_int_t) size));
        return r;
}

static int read_credentials(sd_bus_message *m, SpecPayload *payload, GPtrArray *problems, json_t **ret) {
        json_t *object = json_object();
        int r;

        (void) sd_bus_message_sensitive(m); /* its memory is wiped when it goes */
        r = sd_bus_message_enter_container(m, 'a', "{say}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "say")) > 0) {
                r = read_credential(m, payload, problems, object);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0 && payload)
                r = spec_payload_seal(payload);
        if (r < 0) {
                json_decref(object);
                return r;
        }
        *ret = object;
        return 0;
}

static int read_disks(sd_bus_message *m, json_t **ret) {
        json_t *array = json_array();
        const char *path, *name;
        uint64_t bytes;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sts)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(sts)", &path, &bytes, &name)) > 0)
                (void) json_array_append_new(array,
                        json_pack("[s, I, s]", path, (json_int_t) MIN(bytes, (uint64_t) INT64_MAX), name));
        return end_container(m, r, array, ret);
}

static int read_archive(sd_bus_message *m, SpecPayload *payload, GPtrArray *problems, json_t *array) {
        const char *path;
        int fd, r;

        r = sd_bus_message_read(m, "(sh)", &path, &fd);
        if (r <= 0)
                return r;
        (void) json_array_append_new(array, json_string(path));
        r = payload ? spec_payload_add_archive(payload, fd) : 0;
        if (r == -EBADF) {
                g_autofree char *shown = problem_quote(path);

                add_problem(problems, problem_new("InvalidSpec", "VolumeArchives",
                                              "VolumeArchives: %s: the descriptor must be a regular file, a pipe or a "
                                              "socket that can be read",
                                              shown));
        }
        return r == -EBADF || r == -E2BIG ? 1 : r < 0 ? r : 1; /* too many: their number says so */
}

static int read_archives(sd_bus_message *m, SpecPayload *payload, GPtrArray *problems, json_t **ret) {
        json_t *array = json_array();
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sh)");
        while (r >= 0 && (r = read_archive(m, payload, problems, array)) > 0)
                ;
        return end_container(m, r, array, ret);
}

/* One value of the signature, which is the variant's own. -EOPNOTSUPP for a type that no key has. */
static int read_value(
        sd_bus_message *m, const char *signature, SpecPayload *payload, GPtrArray *problems, json_t **ret) {
        union {
                const char *s;
                uint16_t q;
                uint32_t u;
                uint64_t t;
                int b;
        } v;
        int r;

        if (strcmp(signature, "as") == 0)
                return read_strings(m, ret);
        if (strcmp(signature, "a{ss}") == 0)
                return read_string_map(m, ret);
        if (strcmp(signature, "a{say}") == 0)
                return read_credentials(m, payload, problems, ret);
        if (strcmp(signature, "a(sts)") == 0)
                return read_disks(m, ret);
        if (strcmp(signature, "a(sh)") == 0)
                return read_archives(m, payload, problems, ret);
        if (strlen(signature) != 1 || !strchr("squtb", signature[0]))
                return -EOPNOTSUPP;
        r = sd_bus_message_read_basic(m, signature[0], &v);
        if (r < 0)
                return r;
        *ret = signature[0] == 's' ? json_string(v.s)
               : signature[0] == 'b'
                       ? json_boolean(v.b)
                       : json_integer(signature[0] == 'u'   ? (json_int_t) v.u
                                      : signature[0] == 'q' ? (json_int_t) v.q
                                                            : (json_int_t) MIN(v.t, (uint64_t) INT64_MAX));
        return *ret ? 0 : -EBADMSG;
}

typedef const char *(*SignatureOf)(const char *key, const void *table);

static int read_nested(sd_bus_message *m, const char *outer, GPtrArray *problems, json_t **ret);

/* Reads the whole a{sv}, the value of the key `outer` or, where that is NULL, the argument itself. Doubled keys and
 * wrong types become problems. Of unknown keys only the name is kept (null). */
static int read_dictionary(sd_bus_message *m, SignatureOf signature_of, const void *table, const char *outer,
        GPtrArray *problems, SpecPayload *payload, json_t **ret) {
        json_t *object = json_object();
        const char *key, *contents;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *expected;
                json_t *value = NULL;

                r = sd_bus_message_read(m, "s", &key);
                if (r >= 0)
                        r = sd_bus_message_peek_type(m, NULL, &contents);
                if (r < 0)
                        break;
                expected = signature_of(key, table);
                if (expected && strcmp(expected, contents) == 0) {
                        r = sd_bus_message_enter_container(m, 'v', contents);
                        if (r >= 0)
                                r = strcmp(contents, "a{sv}") == 0 ? read_nested(m, key, problems, &value)
                                                                   : read_value(m, contents, payload, problems, &value);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else {
                        r = sd_bus_message_skip(m, "v");
                        if (expected)
                                add_problem(problems, problem_new("InvalidSpec", outer ?: key,
                                                              "%s%s%s: expected a value of D-Bus type '%s', got '%s'",
                                                              outer ?: "", outer ? ": " : "", key, expected, contents));
                        else
                                value = json_null();
                }
                if (r >= 0 && json_object_get(object, key))
                        add_problem(problems, problem_new("InvalidSpec", outer ?: key, "%s%s%s: given twice",
                                                      outer ?: "", outer ? ": " : "", key));
                if (r >= 0 && value && json_object_set_new(object, key, value) < 0)
                        r = -EBADMSG;
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return end_container(m, r, object, ret);
}

static const char *option_signature(const char *key, const void *table) {
        for (const OptionKey *k = table; k->name; k++)
                if (strcmp(k->name, key) == 0)
                        return k->signature;
        return NULL;
}

static int read_nested(sd_bus_message *m, const char *outer, GPtrArray *problems, json_t **ret) {
        const SpecKey *k = spec_key_find(outer);

        return k && k->members ? read_dictionary(m, option_signature, k->members, outer, problems, NULL, ret)
                               : -EOPNOTSUPP;
}

static int fail_unknown(const OptionKey *keys, const char *key, sd_bus_error *error) {
        g_autoptr(GString) known = g_string_new(NULL);

        for (const OptionKey *k = keys; k->name; k++)
                g_string_append_printf(known, "%s%s (%s)", known->len ? ", " : "", k->name, k->signature);
        return bus_error_named(
                error, "InvalidSpec", "unknown option '%s'; known are: %s", key, known->len ? known->str : "none");
}

int message_read_options(sd_bus_message *m, const OptionKey *keys, json_t **ret, sd_bus_error *error) {
        return message_read_options_with(m, keys, NULL, ret, error);
}

int message_read_no_options(sd_bus_message *m, sd_bus_error *error) {
        static const OptionKey none[] = {{}};
        json_t *options;
        int r = message_read_options(m, none, &options, error);

        if (r >= 0)
                json_decref(options);
        return r;
}

int message_read_options_with(
        sd_bus_message *m, const OptionKey *keys, SpecPayload *payload, json_t **ret, sd_bus_error *error) {
        g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func((GDestroyNotify) problem_free);
        json_t *object = NULL, *value;
        const char *key;
        int r;

        r = read_dictionary(m, option_signature, keys, NULL, problems, payload, &object);
        if (r < 0)
                return r;
        json_object_foreach(object, key, value) if (json_is_null(value)) {
                r = fail_unknown(keys, key, error);
                json_decref(object);
                return r;
        }
        if (problems->len > 0) {
                json_decref(object);
                return bus_error_problem(error, problems->pdata[0]);
        }
        *ret = object;
        return 0;
}

static const char *spec_signature(const char *key, const void *table) {
        const SpecKey *k = spec_key_find(key);

        return k ? k->signature : table ? option_signature(key, table) : NULL;
}

int message_read_spec(
        sd_bus_message *m, const OptionKey *extra, GPtrArray *problems, SpecPayload *payload, json_t **ret) {
        return read_dictionary(m, spec_signature, extra, NULL, problems, payload, ret);
}

static int append_strings(sd_bus_message *m, json_t *array) {
        json_t *value;
        size_t i;
        int r = sd_bus_message_open_container(m, 'a', "s");

        json_array_foreach(array, i, value) if (r >= 0) r = sd_bus_message_append(m, "s", json_string_value(value));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_string_map(sd_bus_message *m, json_t *object) {
        const char *key;
        json_t *value;
        int r = sd_bus_message_open_container(m, 'a', "{ss}");

        json_object_foreach(object, key, value) if (r >= 0) r =
                sd_bus_message_append(m, "{ss}", key, json_string_value(value));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The names, each without a value. */
static int append_credentials(sd_bus_message *m, json_t *object) {
        const char *key;
        json_t *value;
        int r = sd_bus_message_open_container(m, 'a', "{say}");

        json_object_foreach(object, key, value) if (r >= 0) r = sd_bus_message_append(m, "{say}", key, 0);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_disks(sd_bus_message *m, json_t *array) {
        json_t *value;
        size_t i;
        int r = sd_bus_message_open_container(m, 'a', "(sts)");

        json_array_foreach(array, i, value) if (r >= 0) r =
                sd_bus_message_append(m, "(sts)", json_string_value(json_array_get(value, 0)),
                        (uint64_t) json_integer_value(json_array_get(value, 1)),
                        json_string_value(json_array_get(value, 2)));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_variant(sd_bus_message *m, const char *signature, const SpecMember *members, json_t *value);

static int append_members(sd_bus_message *m, const SpecMember *members, json_t *object) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (; members->name && r >= 0; members++) {
                json_t *value = json_object_get(object, members->name);

                if (!value)
                        continue;
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", members->name);
                if (r >= 0)
                        r = append_variant(m, members->signature, NULL, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const char *signature, const SpecMember *members, json_t *value) {
        if (strcmp(signature, "as") == 0)
                return append_strings(m, value);
        if (strcmp(signature, "a{ss}") == 0)
                return append_string_map(m, value);
        if (strcmp(signature, "a{say}") == 0)
                return append_credentials(m, value);
        if (strcmp(signature, "a{sv}") == 0)
                return append_members(m, members, value);
        if (strcmp(signature, "a(sts)") == 0)
                return append_disks(m, value);
        switch (signature[0]) {
        case 's':
                return sd_bus_message_append(m, "s", json_string_value(value));
        case 'b':
                return sd_bus_message_append(m, "b", (int) json_is_true(value));
        case 'q':
                return sd_bus_message_append(m, "q", (uint16_t) json_integer_value(value));
        case 'u':
                return sd_bus_message_append(m, "u", (uint32_t) json_integer_value(value));
        default:
                return sd_bus_message_append(m, "t", (uint64_t) json_integer_value(value));
        }
}

static int append_variant(sd_bus_message *m, const char *signature, const SpecMember *members, json_t *value) {
        int r = sd_bus_message_open_container(m, 'v', signature);

        if (r >= 0)
                r = append_value(m, signature, members, value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int message_append_spec(sd_bus_message *m, const VMSpec *spec) {
        json_t *object = vm_spec_to_json(spec);
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (const SpecKey *k = spec_keys(); k->name && r >= 0; k++) {
                json_t *value = json_object_get(object, k->name);

                if (!value || strcmp(k->signature, "a(sh)") == 0) /* descriptors are kept nowhere */
                        continue;
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", k->name);
                if (r >= 0)
                        r = append_variant(m, k->signature, k->members, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        json_decref(object);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
