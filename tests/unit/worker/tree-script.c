/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The layers of a test, written down as text. */
#include "tree-script.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BAD (-1000)

static int add(struct tree *t, unsigned layer, bool again, mode_t mode, const char *path, const char *more) {
        struct tree_inode attributes = {.mode = mode, .xattr = TREE_NO_XATTR}, *inode;

        attributes.uid = S_ISREG(mode) ? (uint32_t) atoi(more) : 0;
        if (again)
                return tree_add_awaited(t, path, &attributes, more, &inode);
        return tree_add(t, layer, path, &attributes, more, &inode);
}

/* Names are clean before they come to the tree. */
static bool is_clean(const char *path) {
        g_auto(GStrv) names = g_strsplit(path, "/", -1);

        for (char **n = names; *n; n++)
                if (!**n || strcmp(*n, ".") == 0 || strcmp(*n, "..") == 0 || strlen(*n) > 255)
                        return false;
        return true;
}

static int run_line(struct tree *t, unsigned layer, bool again, const char *line) {
        g_auto(GStrv) words = g_strsplit(line, " ", 3);
        const char *path, *more;

        if (g_strv_length(words) < 2 || strlen(words[0]) != 1)
                return BAD;
        path = strcmp(words[1], ".") == 0 ? "" : words[1];
        if ((*path && !is_clean(path)) || (line[0] == 'h' && words[2] && !is_clean(words[2])))
                return BAD;
        more = words[2] ?: "x";
        switch (line[0]) {
        case 'd':
                return add(t, layer, again, S_IFDIR | 0750, path, more);
        case 'f':
                return add(t, layer, again, S_IFREG | 0644, path, more);
        case 'l':
                return add(t, layer, again, S_IFLNK | 0777, path, more);
        case 'h':
                return again ? 0 : tree_link(t, layer, path, more);
        case 'w':
                return again || !*path ? 0 : tree_whiteout(t, layer, path);
        case 'o':
                return again ? 0 : tree_opaque(t, layer, path);
        default:
                return BAD;
        }
}

static int run_layer(struct tree *t, unsigned layer, const char *text, bool again) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **l = lines; *l; l++) {
                int r = **l ? run_line(t, layer, again, *l) : 0;

                if (r < 0)
                        return r;
        }
        return 0;
}

int tree_script_merge(struct tree *t, const char *script, char **ret_culprit) {
        g_auto(GStrv) layers = g_strsplit(script, "-\n", -1);
        int r = 0;

        *ret_culprit = NULL;
        for (unsigned i = 0; r >= 0 && layers[i]; i++) {
                r = run_layer(t, i, layers[i], false);
                if (r >= 0 && tree_awaits(t, i))
                        r = run_layer(t, i, layers[i], true);
        }
        return r < 0 ? r : tree_settle(t, ret_culprit);
}

static void list_children(const struct tree_node *dir, const char *prefix, GString *out) {
        for (const struct tree_node *n = dir->children; n; n = n->next) {
                g_autofree char *path = g_strconcat(prefix, n->name, NULL);

                g_string_append_printf(out, "%s%s", out->len > 0 ? " " : "", path);
                if (S_ISDIR(n->inode->mode)) {
                        g_autofree char *below = g_strconcat(path, "/", NULL);

                        g_string_append(out, (n->inode->mode & 07777) == 0755 ? "/?" : "/");
                        list_children(n, below, out);
                } else if (S_ISLNK(n->inode->mode)) {
                        g_string_append_printf(out, ">%s", n->inode->target);
                } else {
                        g_string_append_printf(out, "=%u", n->inode->uid);
                        if (n->inode->links > 1)
                                g_string_append_printf(out, "*%u", n->inode->links);
                }
        }
}

char *tree_script_list(struct tree *t) {
        GString *out = g_string_new(NULL);

        list_children(tree_root(t), "", out);
        return g_string_free(out, FALSE);
}
