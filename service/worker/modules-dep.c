/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two text files depmod leaves for people without its library. */
#include "worker/modules-dep.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 64U

struct modules_dep {
        GHashTable *needs;   /* name -> line "path: path path", split */
        GHashTable *builtin; /* names */
};

static bool is_module_path(const char *path) {
        return *path && *path != '/' && !strstr(path, "..") && strstr(path, ".ko");
}

char *modules_dep_name(const char *path) {
        const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
        const char *end = strstr(base, ".ko");
        char *name = end ? g_strndup(base, (gsize) (end - base)) : g_strdup(base);

        return g_strdelimit(name, "-", '_');
}

void modules_dep_free(modules_dep *m) {
        if (!m)
                return;
        g_hash_table_unref(m->needs);
        g_hash_table_unref(m->builtin);
        g_free(m);
}

/* Vector of one line: the module's own path, then those it needs. */
static int note_line(modules_dep *m, const char *line) {
        const char *colon = strchr(line, ':');
        g_autofree char *path = NULL;
        g_autofree char *flat = NULL;

        if (!colon)
                return -EBADMSG;
        path = g_strndup(line, (gsize) (colon - line));
        if (!is_module_path(path))
                return -EBADMSG;
        flat = g_strconcat(path, " ", g_strchug((char *) colon + 1), NULL);
        g_hash_table_replace(m->needs, modules_dep_name(path), g_strsplit(g_strchomp(flat), " ", -1));
        return 0;
}

int modules_dep_new(const char *dep, const char *builtin, modules_dep **ret) {
        g_autoptr(modules_dep) m = g_new0(modules_dep, 1);
        g_auto(GStrv) dep_lines = g_strsplit(dep, "\n", -1);
        g_auto(GStrv) builtin_lines = g_strsplit(builtin, "\n", -1);

        m->needs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_strfreev);
        m->builtin = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        for (char **l = dep_lines; *l; l++)
                if (**l && note_line(m, *l) < 0)
                        return -EBADMSG;
        for (char **l = builtin_lines; *l; l++)
                if (**l)
                        g_hash_table_add(m->builtin, modules_dep_name(*l));
        *ret = g_steal_pointer(&m);
        return 0;
}

static bool have_path(const GPtrArray *paths, const char *path) {
        for (guint i = 0; i < paths->len; i++)
                if (strcmp(g_ptr_array_index(paths, i), path) == 0)
                        return true;
        return false;
}

/* depmod lists needs of needs too, but not in an order that loads: each is resolved by its own line. */
static int add_path(const modules_dep *m, const char *path, unsigned depth, GPtrArray *paths) {
        g_autofree char *name = modules_dep_name(path);
        char **line = g_hash_table_lookup(m->needs, name);

        if (have_path(paths, path))
                return 0;
        if (!line || !is_module_path(path))
                return -ENOENT;
        if (depth > DEPTH_MAX)
                return -ELOOP;
        for (char **need = line + 1; *need; need++) {
                int r = **need ? add_path(m, *need, depth + 1, paths) : 0;

                if (r < 0)
                        return r;
        }
        if (!have_path(paths, path))
                g_ptr_array_add(paths, g_strdup(path));
        return 0;
}

int modules_dep_resolve(const modules_dep *m, const char *name, GPtrArray *paths) {
        g_autofree char *clean = g_strdelimit(g_strdup(name), "-", '_');
        char **line = g_hash_table_lookup(m->needs, clean);
        int r;

        if (!line)
                return g_hash_table_contains(m->builtin, clean) ? 0 : -ENOENT;
        r = add_path(m, line[0], 0, paths);
        return r < 0 ? r : 1;
}
