/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the keys of a spec that bring data into the guest. */
#include <errno.h>
#include <string.h>

#include "model/mount.h"
#include "model/spec-kind.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* ---- Credentials: an object of name and size; the values never come here ---- */

static bool credential_name_is_valid(const char *name) {
        size_t n = strlen(name);

        return n >= 1 && n <= SPEC_CREDENTIAL_NAME_MAX && name[0] != '.' && strspn(name, NAME_CHARACTERS) == n;
}

static gint compare_names(gconstpointer a, gconstpointer b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static bool is_object_of_sizes(json_t *value) {
        const char *name;
        json_t *size;

        if (!json_is_object(value))
                return false;
        json_object_foreach(value, name, size) if (!json_is_integer(size)) return false;
        return true;
}

static void check_credential(const char *name, const SpecCheck *check) {
        if (credential_name_is_valid(name))
                return;

        g_autofree char *quoted = problem_quote(name);

        spec_problem(check, "%s is not a name of 1 to %u of [A-Za-z0-9._-] that does not begin with a dot", quoted,
                SPEC_CREDENTIAL_NAME_MAX);
}

static bool credentials_parse(json_t *value, void *field, const SpecCheck *check) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        char ***strings = field;
        json_int_t bytes = 0;
        const char *name;
        json_t *size;

        if (!is_object_of_sizes(value))
                return false;
        if (json_object_size(value) > SPEC_CREDENTIALS_MAX) {
                spec_problem(check, "has %zu entries, at most %u are accepted", json_object_size(value),
                        SPEC_CREDENTIALS_MAX);
                return true;
        }
        json_object_foreach(value, name, size) {
                if (check)
                        check_credential(name, check);
                bytes += json_integer_value(size);
                g_ptr_array_add(names, g_strdup(name));
        }
        if (bytes > SPEC_CREDENTIAL_BYTES_MAX)
                spec_problem(check, "has %" JSON_INTEGER_FORMAT " bytes in all, at most %u are accepted", bytes,
                        SPEC_CREDENTIAL_BYTES_MAX);
        g_ptr_array_sort(names, compare_names);
        g_ptr_array_add(names, NULL);
        g_strfreev(*strings);
        *strings = (char **) g_ptr_array_free(g_steal_pointer(&names), FALSE);
        return true;
}

static json_t *credentials_print(const void *field) {
        json_t *o = json_object();

        for (char **s = *(char **const *) field; *s; s++)
                json_object_set_new(o, *s, json_integer(0));
        return o;
}

static void credentials_clear(void *field) {
        g_clear_pointer((char ***) field, g_strfreev);
}

const SpecKind spec_credentials_kind = {credentials_parse, credentials_print, credentials_clear};

int spec_credential_names(json_t *sizes, GPtrArray *problems, char ***ret) {
        SpecCheck check = {.problems = problems, .key = "Credentials"};
        guint before = problems->len;
        char **names = NULL;

        if (!credentials_parse(sizes, &names, &check))
                spec_problem(&check, "expected a value of D-Bus signature 'a{say}'");
        if (problems->len > before) {
                g_strfreev(names);
                return -EINVAL;
        }
        *ret = names;
        return 0;
}

/* ---- Paths ---- */

static void problem_value(const SpecCheck *check, const char *value, const char *accepted) {
        g_autofree char *quoted = problem_quote(value);

        spec_problem(check, "%s is not %s", quoted, accepted);
}

static bool too_many(char **list, guint max, const SpecCheck *check) {
        guint n = g_strv_length(list);

        if (n > max)
                spec_problem(check, "has %u elements, at most %u are accepted", n, max);
        return n > max;
}

/* Who takes a path of the guest twice is told so once, at the last key that does. */
static void check_distinct(const VMSpec *spec, const SpecCheck *check) {
        g_autoptr(GPtrArray) mounts = spec_mounts(spec);

        for (guint i = 1; i < mounts->len; i++) {
                const SpecMount *a = mounts->pdata[i - 1], *b = mounts->pdata[i];

                if (g_str_equal(a->path, b->path))
                        problem_value(check, b->path, "a path of the guest of its own: another mount has the same");
        }
}

static void check_host_mount(const char *text, const SpecCheck *check) {
        HostMount m;

        if (host_mount_parse(text, &m) < 0) {
                problem_value(check, text, HOST_MOUNT_ACCEPTED "; the guest's is " GUEST_PATH_ACCEPTED);
                return;
        }
        if (m.read_write) {
                g_autofree char *quoted = problem_quote(text);

                spec_problem_named(
                        check, "NotSupported", "%s: it can only be read; for what is written take Disks", quoted);
        } else if (!check->limits->form_only &&
                   !(check->limits->volume_roots && host_path_is_below(m.host, check->limits->volume_roots))) {
                g_autofree char *roots = check->limits->volume_roots
                                                 ? g_strjoinv(", ", (char **) check->limits->volume_roots)
                                                 : g_strdup("none");
                g_autofree char *quoted = problem_quote(text);

                spec_problem(check, "%s is not below one of: %s (VolumeRoots= in runtime.conf)", quoted, roots);
        }
        host_mount_clear(&m);
}

void spec_check_credentials(const VMSpec *spec, const SpecCheck *check) {
        spec_check_for_linux(spec, *spec->credentials ?: "", check);
}

void spec_check_volumes(const VMSpec *spec, const SpecCheck *check) {
        if (too_many(spec->volumes, SPEC_VOLUMES_MAX, check))
                return;
        for (char **v = spec->volumes; *v; v++)
                check_host_mount(*v, check);
        check_distinct(spec, check);
}

void spec_check_archives(const VMSpec *spec, const SpecCheck *check) {
        if (too_many(spec->archives, SPEC_ARCHIVES_MAX, check) || !*spec->archives)
                return;
        for (char **a = spec->archives; *a; a++)
                if (!guest_path_is_valid(*a))
                        problem_value(check, *a, GUEST_PATH_ACCEPTED);
        check_distinct(spec, check);
}
