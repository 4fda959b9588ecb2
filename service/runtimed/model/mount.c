/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the form of paths that a spec mounts. */
#include "model/mount.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static bool has_control(const char *s) {
        for (; *s; s++)
                if ((unsigned char) *s < 0x20 || *s == 0x7f)
                        return true;
        return false;
}

static bool has_part(const char *path, const char *part) {
        size_t n = strlen(part);

        for (const char *p = path; *p; p += strcspn(p, "/")) {
                p++;
                if (strcspn(p, "/") == n && strncmp(p, part, n) == 0)
                        return true;
        }
        return false;
}

bool host_path_is_plain(const char *path) {
        return path[0] == '/' && strlen(path) < PATH_MAX && !has_control(path) && !has_part(path, "..");
}

bool host_directory_is_valid(const char *path) {
        return host_path_is_plain(path) && path[strspn(path, "/")] && strlen(path) <= GUEST_PATH_MAX &&
               !has_part(path, ".");
}

bool host_path_is_below(const char *path, const char *const *roots) {
        for (const char *const *r = roots; *r; r++) {
                size_t n = strlen(*r);

                while (n > 1 && (*r)[n - 1] == '/')
                        n--;
                if (strncmp(path, *r, n) == 0 && (path[n] == '/' || n == 1))
                        return true;
        }
        return false;
}

static bool is_at_or_below(const char *path, const char *top) {
        size_t n = strlen(top);

        return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

bool guest_path_is_valid(const char *path) {
        static const char *const taken[] = {"/proc", "/sys", "/dev", "/run/credentials"};

        if (path[0] != '/' || path[1] == '\0' || strlen(path) > GUEST_PATH_MAX || has_control(path) ||
                strchr(path, ':') || has_part(path, "") || has_part(path, ".") || has_part(path, ".."))
                return false;
        for (size_t i = 0; i < G_N_ELEMENTS(taken); i++)
                if (is_at_or_below(path, taken[i]))
                        return false;
        return true;
}

void host_mount_clear(HostMount *m) {
        g_clear_pointer(&m->host, g_free);
        g_clear_pointer(&m->guest, g_free);
}

/* Slashes that say nothing go. */
static char *shortest(const char *path) {
        GString *s = g_string_new(NULL);

        for (const char *p = path; *p; p++)
                if (*p != '/' || (p[1] != '/' && p[1] != '\0') || s->len == 0)
                        if (*p != '/' || s->len == 0 || s->str[s->len - 1] != '/')
                                g_string_append_c(s, *p);
        return g_string_free(s, FALSE);
}

int host_mount_parse(const char *text, HostMount *ret) {
        g_auto(GStrv) parts = g_strsplit(text, ":", 4);
        guint n = g_strv_length(parts);
        HostMount m = {};

        if (n > 1 && (g_str_equal(parts[n - 1], "ro") || g_str_equal(parts[n - 1], "rw")))
                m.read_write = g_str_equal(parts[--n], "rw");
        if (n < 1 || n > 2)
                return -EINVAL;
        m.host = shortest(parts[0]);
        m.guest = shortest(parts[n - 1]);
        if (!host_path_is_plain(m.host) || m.host[1] == '\0' || strlen(m.host) > GUEST_PATH_MAX ||
                !guest_path_is_valid(m.guest)) {
                host_mount_clear(&m);
                return -EINVAL;
        }
        *ret = m;
        return 0;
}

char *spec_host_paths(const VMSpec *spec) {
        g_autoptr(GPtrArray) paths = g_ptr_array_new();

        if (spec->root_directory && *spec->root_directory)
                g_ptr_array_add(paths, spec->root_directory);
        for (char **v = spec->volumes; v && *v; v++)
                g_ptr_array_add(paths, *v);
        for (char **s = spec->shares; s && *s; s++)
                g_ptr_array_add(paths, *s);
        if (paths->len == 0)
                return NULL;
        g_ptr_array_add(paths, NULL);
        return g_strjoinv(" ", (char **) paths->pdata);
}

static void mount_free(void *p) {
        SpecMount *m = p;

        g_free(m->tag);
        g_free(m->own);
        g_free(m);
}

static void add(GPtrArray *list, const char *kind, char *tag, const char *path, char *own) {
        SpecMount *m = g_new(SpecMount, 1);

        *m = (SpecMount){kind, tag, own ?: path, own};
        g_ptr_array_add(list, m);
}

static void add_host(GPtrArray *list, const char *kind, char *tag, const char *text) {
        HostMount m;

        if (host_mount_parse(text, &m) < 0) {
                g_free(tag);
                return;
        }
        add(list, kind, tag, NULL, g_steal_pointer(&m.guest));
        host_mount_clear(&m);
}

static gint compare_paths(gconstpointer a, gconstpointer b) {
        return strcmp((*(SpecMount *const *) a)->path, (*(SpecMount *const *) b)->path);
}

GPtrArray *spec_mounts(const VMSpec *spec) {
        GPtrArray *list = g_ptr_array_new_with_free_func(mount_free);

        for (size_t i = 0; spec->volumes && spec->volumes[i]; i++)
                add_host(list, "volume", g_strdup_printf("volumes/%zu", i), spec->volumes[i]);
        for (size_t i = 0; spec->archives && spec->archives[i]; i++)
                add(list, "volume", g_strdup_printf("archives/%zu", i), spec->archives[i], NULL);
        for (size_t i = 0; spec->shares && spec->shares[i]; i++)
                add_host(list, "share", g_strdup_printf("share%zu", i), spec->shares[i]);
        for (size_t i = 0; i < spec->n_disks; i++)
                add(list, "disk", g_strdup_printf("disk%zu", i), spec->disks[i].path, NULL);
        g_ptr_array_sort(list, compare_paths);
        return list;
}
