/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a merge: entries behind links go home, hard links find their files, the rest is counted and sorted. */
#include <errno.h>
#include <string.h>

#include "worker/tree-private.h"

#define LINK_ROUNDS_MAX 40U /* hard links to hard links to ... */

/* One name further; missing directories are made when make is set. Links are left to the caller. */
static int enter(
        struct tree *t, struct tree_node *at, const char *name, size_t len, bool make, struct tree_node **ret) {
        struct tree_node *n = tree_child(t, at, name, len);

        if (n && n->kind == TREE_WHITEOUT) {
                if (!make)
                        return -ENOENT;
                n->kind = TREE_DIRECTORY;
        }
        if (!n) {
                if (!make)
                        return -ENOENT;
                n = tree_new_node(t, at, name, len, at->layer);
                if (!n)
                        return -E2BIG;
        }
        *ret = n;
        return 0;
}

/* Follows path from a directory as chroot()ed system calls would: ".." ends at the root, an absolute link begins there.
 * follow_last: whether a link at the end counts as well. */
static int resolve(
        struct tree *t, struct tree_node *at, const char *path, bool make, bool follow_last, struct tree_node **ret) {
        g_autofree char *rest = g_strdup(path);
        unsigned links = 0, depth = 0;
        char *p = rest;

        for (struct tree_node *n = at; n->parent; n = n->parent)
                depth++;
        if (*p == '/') {
                at = t->root;
                depth = 0;
        }
        for (;;) {
                struct tree_node *n;
                size_t len;
                int r;

                p += strspn(p, "/");
                if (!*p)
                        break;
                if (at->kind != TREE_DIRECTORY)
                        return -ENOTDIR;
                len = strcspn(p, "/");
                if (len == 2 && memcmp(p, "..", 2) == 0) {
                        if (at->parent) {
                                at = at->parent;
                                depth--;
                        }
                        p += len;
                        continue;
                }
                if (len == 1 && *p == '.') {
                        p += len;
                        continue;
                }
                r = enter(t, at, p, len, make, &n);
                if (r < 0)
                        return r;
                p += len;
                if (tree_is_symlink(n) && (follow_last || p[strspn(p, "/")])) {
                        char *joined;

                        if (++links > TREE_LINKS_MAX)
                                return -ELOOP;
                        joined = g_strconcat(n->inode->target, "/", p, NULL);
                        g_free(rest);
                        p = rest = joined;
                        if (*p == '/') {
                                at = t->root;
                                depth = 0;
                        }
                        continue;
                }
                at = n;
                if (++depth > TREE_DEPTH_MAX)
                        return -ELOOP;
        }
        *ret = at;
        return 0;
}

static struct tree_node *pop_child(struct tree *t, struct tree_node *from) {
        struct tree_node *n = from->children;

        from->children = n->next;
        tree_forget(t, n);
        return n;
}

static void move_children(struct tree *t, struct tree_node *from, struct tree_node *to);

static void drop_closed(struct tree *t, struct tree_node *dir, unsigned closed) {
        struct tree_node **p = &dir->children;

        while (*p) {
                struct tree_node *n = *p;

                if (n->layer <= closed) {
                        p = &n->next;
                        continue;
                }
                *p = n->next;
                tree_forget(t, n);
        }
}

static void meet_directory(struct tree *t, struct tree_node *there, struct tree_node *coming) {
        if (coming->told && (!there->told || coming->layer <= there->layer)) {
                there->inode = coming->inode;
                there->told = true;
        }
        drop_closed(t, there, coming->closed);
        there->layer = MIN(there->layer, coming->layer);
        move_children(t, coming, there);
}

/* A name that arrives where one is: the upper layer wins, directories become one. */
static void meet(struct tree *t, struct tree_node *there, struct tree_node *coming) {
        if (there->kind == TREE_DIRECTORY && coming->kind == TREE_DIRECTORY) {
                meet_directory(t, there, coming);
                return;
        }
        if (tree_is_symlink(there) && coming->kind == TREE_DIRECTORY && !coming->told) {
                if (!there->children)
                        g_ptr_array_add(t->through, there);
                move_children(t, coming, there);
                return;
        }
        if (coming->layer > there->layer || (coming->kind == TREE_WHITEOUT && coming->layer == there->layer))
                return;
        while (there->children)
                (void) pop_child(t, there);
        there->inode = coming->inode;
        there->kind = coming->kind;
        there->layer = coming->layer;
        there->closed = coming->closed;
        there->told = coming->told;
        there->stand_in = NULL;
        if (coming->kind == TREE_LINK)
                coming->stand_in = there;
        if (tree_is_symlink(there) && coming->children)
                g_ptr_array_add(t->through, there);
        move_children(t, coming, there);
}

static void move_children(struct tree *t, struct tree_node *from, struct tree_node *to) {
        while (from->children) {
                struct tree_node *n = pop_child(t, from);
                struct tree_node *there = tree_child(t, to, n->name, strlen(n->name));

                if (there)
                        meet(t, there, n);
                else
                        tree_attach(t, to, n);
        }
}

/* Entries that were written through links go where the links lead. The list may grow while we are at it. */
static int bring_home(struct tree *t, char **ret_culprit) {
        for (guint i = 0; i < t->through->len; i++) {
                struct tree_node *link = g_ptr_array_index(t->through, i), *to;
                int r;

                if (!link->parent || !link->children || !tree_is_symlink(link))
                        continue;
                r = resolve(t, link->parent, link->inode->target, true, true, &to);
                if (r >= 0 && to->kind != TREE_DIRECTORY)
                        r = -ENOTDIR;
                if (r < 0) {
                        *ret_culprit = tree_path(link);
                        return r;
                }
                move_children(t, link, to);
        }
        return 0;
}

/* One round over the targets still awaited; true when one was found. */
static bool answer_round(struct tree *t) {
        g_autoptr(GList) targets = g_hash_table_get_keys(t->awaited);
        bool found = false;

        for (GList *l = targets; l; l = l->next) {
                struct tree_node *n;

                if (resolve(t, t->root, l->data, false, false, &n) >= 0 && n->kind == TREE_LEAF)
                        found = tree_answer_links(t, l->data, n->inode) || found;
        }
        return found;
}

static int settle_node(struct tree *t, struct tree_node *n, char **ret_culprit);

static int compare_names(gconstpointer a, gconstpointer b) {
        const struct tree_node *const *x = a, *const *y = b;

        return strcmp((*x)->name, (*y)->name);
}

/* Sorted as the image wants it: by bytes. */
static void sort_children(struct tree_node *dir) {
        g_autoptr(GPtrArray) nodes = g_ptr_array_new();

        for (struct tree_node *n = dir->children; n; n = n->next)
                g_ptr_array_add(nodes, n);
        g_ptr_array_sort(nodes, compare_names);
        dir->children = NULL;
        for (guint i = nodes->len; i > 0; i--) {
                struct tree_node *n = g_ptr_array_index(nodes, i - 1);

                n->next = dir->children;
                dir->children = n;
        }
}

static int settle_children(struct tree *t, struct tree_node *dir, char **ret_culprit) {
        struct tree_node **p = &dir->children;

        while (*p) {
                struct tree_node *n = *p;
                int r;

                if (n->kind == TREE_WHITEOUT) {
                        *p = n->next;
                        tree_forget(t, n);
                        continue;
                }
                r = settle_node(t, n, ret_culprit);
                if (r < 0)
                        return r;
                p = &n->next;
        }
        sort_children(dir);
        return 0;
}

static int settle_node(struct tree *t, struct tree_node *n, char **ret_culprit) {
        if (n->kind == TREE_LINK) {
                *ret_culprit = tree_path(n);
                return -ENOENT;
        }
        if (n->kind == TREE_LEAF) {
                n->inode->links++;
                return 0;
        }
        if (!n->inode)
                n->inode = tree_new_plain(t);
        if (!n->inode)
                return -E2BIG;
        n->inode->links += 2;
        if (n->parent)
                n->parent->inode->links++;
        return settle_children(t, n, ret_culprit);
}

int tree_settle(struct tree *t, char **ret_culprit) {
        int r;

        r = bring_home(t, ret_culprit);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < LINK_ROUNDS_MAX && g_hash_table_size(t->awaited) > 0; i++)
                if (!answer_round(t))
                        break;
        return settle_node(t, t->root, ret_culprit);
}
