/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the keys of a spec that bring data into the guest. */
#include <errno.h>
#include <string.h>

#include "model/mount.h"
#include "model/name.h"
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

/* ---- Disks: an array of [path, bytes, name]; n_disks goes with them ---- */

static VMSpec *spec_of(const void *field) {
        return (VMSpec *) ((char *) field - offsetof(VMSpec, disks));
}

static void disks_clear(void *field) {
        VMSpec *spec = spec_of(field);

        for (size_t i = 0; i < spec->n_disks; i++) {
                g_free(spec->disks[i].path);
                g_free(spec->disks[i].name);
        }
        spec->n_disks = 0;
        g_clear_pointer(&spec->disks, g_free);
}

static bool is_disk(json_t *value) {
        return json_array_size(value) == 3 && json_is_string(json_array_get(value, 0)) &&
               json_is_integer(json_array_get(value, 1)) && json_is_string(json_array_get(value, 2));
}

static bool disks_parse(json_t *value, void *field, const SpecCheck *check) {
        VMSpec *spec = spec_of(field);
        json_t *e;
        size_t i;

        if (!json_is_array(value))
                return false;
        json_array_foreach(value, i, e) if (!is_disk(e)) return false;
        if (json_array_size(value) > SPEC_DISKS_MAX) {
                spec_problem(
                        check, "has %zu elements, at most %u are accepted", json_array_size(value), SPEC_DISKS_MAX);
                return true;
        }
        disks_clear(field);
        spec->disks = g_new0(DiskSpec, json_array_size(value));
        json_array_foreach(value, i, e) spec->disks[spec->n_disks++] =
                (DiskSpec) {.path = g_strdup(json_string_value(json_array_get(e, 0))),
                        .bytes = (uint64_t) json_integer_value(json_array_get(e, 1)),
                        .name = g_strdup(json_string_value(json_array_get(e, 2)))};
        return true;
}

static json_t *disks_print(const void *field) {
        const VMSpec *spec = spec_of(field);
        json_t *a = json_array();

        for (size_t i = 0; i < spec->n_disks; i++)
                json_array_append_new(a, json_pack("[s, I, s]", spec->disks[i].path, (json_int_t) spec->disks[i].bytes,
                                                 spec->disks[i].name));
        return a;
}

const SpecKind spec_disks_kind = {disks_parse, disks_print, disks_clear};

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

void spec_check_beneath_roots(const char *path, const char *text, const SpecCheck *check) {
        const char *const *roots = check->limits->volume_roots;

        if (check->limits->form_only || (roots && host_path_is_below(path, roots)))
                return;

        g_autofree char *list = roots ? g_strjoinv(", ", (char **) roots) : g_strdup("none");
        g_autofree char *quoted = problem_quote(text);

        spec_problem(check, "%s is not below one of: %s (VolumeRoots= in runtime.conf)", quoted, list);
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
        } else
                spec_check_beneath_roots(m.host, text, check);
        host_mount_clear(&m);
}

static bool has_problem_of(const char *key, const SpecCheck *check) {
        for (guint i = 0; i < check->problems->len; i++)
                if (g_strcmp0(((const Problem *) check->problems->pdata[i])->key, key) == 0)
                        return true;
        return false;
}

/* One of the two, and of a directory only the form is looked at: what is there is the start's to see. */
void spec_check_root_directory(const VMSpec *spec, const SpecCheck *check) {
        SpecCheck image = {check->limits, check->problems, "Image"};
        const char *path = spec->root_directory;

        if (!*path) {
                if (!*spec->image && !has_problem_of("Image", check))
                        spec_problem(&image,
                                "is required: a reference [registry/]path[:tag][@sha256:hex] or a digest sha256:hex");
                return;
        }
        spec_check_for_linux(spec, path, check);
        if (*spec->image)
                spec_problem(check, "is the root in place of an image; leave one of RootDirectory and Image out");
        if (!host_directory_is_valid(path))
                problem_value(check, path, HOST_DIRECTORY_ACCEPTED);
        else
                spec_check_beneath_roots(path, path, check);
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

void spec_check_shares(const VMSpec *spec, const SpecCheck *check) {
        spec_check_for_linux(spec, *spec->shares ?: "", check);
        if (too_many(spec->shares, SPEC_SHARES_MAX, check) || !*spec->shares)
                return;
        for (char **v = spec->shares; *v; v++)
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

static void check_disk(const DiskSpec *d, const SpecCheck *check) {
        if (!guest_path_is_valid(d->path))
                problem_value(check, d->path, GUEST_PATH_ACCEPTED);
        if (!vm_name_is_valid(d->name))
                problem_value(check, d->name, "a name for a disk: " VM_NAME_ACCEPTED);
        if (d->bytes != 0 && (d->bytes < SPEC_DISK_BYTES_MIN || d->bytes > SPEC_DISK_BYTES_MAX ||
                                     d->bytes % SPEC_DISK_BYTES_UNIT != 0))
                spec_problem(check,
                        "%" G_GUINT64_FORMAT " is no size of a disk: expected a multiple of %u from %llu to %llu, or 0 for one "
                        "that is there",
                        d->bytes, SPEC_DISK_BYTES_UNIT, SPEC_DISK_BYTES_MIN, SPEC_DISK_BYTES_MAX);
}

void spec_check_disks(const VMSpec *spec, const SpecCheck *check) {
        spec_check_for_linux(spec, spec->n_disks > 0 ? "disks" : "", check);
        for (size_t i = 0; i < spec->n_disks; i++) {
                check_disk(&spec->disks[i], check);
                for (size_t j = 0; j < i; j++)
                        if (g_str_equal(spec->disks[i].name, spec->disks[j].name))
                                problem_value(check, spec->disks[i].name, "a disk of its own: it is named twice");
        }
        if (spec->n_disks > 0)
                check_distinct(spec, check);
}
