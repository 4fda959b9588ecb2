/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the keys of a spec that bring data into the guest. */
#include <errno.h>
#include <string.h>

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
