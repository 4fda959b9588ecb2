/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One entry of one layer meets what the layers above and the entries before it made. */
#include <errno.h>
#include <string.h>

#include "worker/tree-private.h"

/* What an entry finds on its way. */
static bool shut_for(const struct tree_node *n, unsigned layer) {
        return n->closed < layer;
}

/* Nothing of this layer's below comes in here any more. */
static void shut(struct tree_node *n, unsigned layer) {
        n->closed = (uint16_t) MIN(n->closed, layer);
}

static void describe_plain(struct tree *t, struct tree_node *n) {
        n->inode = tree_new_plain(t);
        n->told = true;
}

/* A whiteout of the same layer gives way to a directory nobody described, which takes nothing from below. */
static void become_directory(struct tree *t, struct tree_node *n) {
        shut(n, n->layer);
        n->kind = TREE_DIRECTORY;
        describe_plain(t, n);
}

/* One step down. 1 and *ret_next, 0 hidden, negative. */
static int
step(struct tree *t, unsigned layer, struct tree_node *at, const char *name, size_t len, struct tree_node **ret_next) {
        struct tree_node *n;

        if (shut_for(at, layer))
                return 0;
        n = tree_child(t, at, name, len);
        if (!n)
                n = tree_new_node(t, at, name, len, layer);
        if (!n)
                return -E2BIG;
        if (n->kind != TREE_DIRECTORY) {
                if (n->layer < layer)
                        return 0;
                if (n->kind == TREE_WHITEOUT)
                        become_directory(t, n);
                else if (!tree_is_symlink(n))
                        return -ENOTDIR;
                else if (!n->children)
                        g_ptr_array_add(t->through, n);
        }
        *ret_next = n;
        return 1;
}

/* Walks to the directory of path's last name and makes what is missing. */
static int walk(struct tree *t, unsigned layer, const char *path, struct tree_node **ret_at, const char **ret_name) {
        struct tree_node *at = t->root;
        const char *slash;

        while ((slash = strchr(path, '/'))) {
                int r = step(t, layer, at, path, (size_t) (slash - path), &at);

                if (r <= 0)
                        return r;
                path = slash + 1;
        }
        if (shut_for(at, layer))
                return 0;
        *ret_at = at;
        *ret_name = path;
        return 1;
}

static void set_inode(struct tree_node *n, struct tree_inode *inode, unsigned layer) {
        n->inode = inode;
        n->kind = S_ISDIR(inode->mode) ? TREE_DIRECTORY : TREE_LEAF;
        n->told = true;
        n->layer = (uint16_t) MIN(n->layer, layer);
}

/* Drops what this layer put below a directory it now replaces; what upper layers want there stays. True when nothing is
 * left. */
static bool prune(struct tree *t, struct tree_node *dir, unsigned layer) {
        struct tree_node **p = &dir->children;

        while (*p) {
                struct tree_node *n = *p;
                bool empty = prune(t, n, layer);

                if (empty && n->layer >= layer) {
                        *p = n->next;
                        tree_forget(t, n);
                        continue;
                }
                if (!empty && n->kind != TREE_DIRECTORY) {
                        n->kind = TREE_DIRECTORY;
                        describe_plain(t, n);
                }
                p = &n->next;
        }
        return !dir->children;
}

/* An entry that is no directory where one is. Upper layers keep the directory, but what is below the entry ends here; a
 * symbolic link may take over a parent nobody described, and what is in it goes where the link leads. */
static int replace_directory(struct tree *t, struct tree_node *n, unsigned layer, mode_t mode) {
        bool empty;

        if (n->told && n->layer < layer) {
                shut(n, layer);
                return 0;
        }
        empty = prune(t, n, layer);
        if (empty && n->layer == layer)
                return 1;
        if (S_ISLNK(mode) && !empty && !n->told) {
                n->layer = (uint16_t) layer;
                g_ptr_array_add(t->through, n);
                return 1;
        }
        shut(n, layer);
        describe_plain(t, n);
        return 0;
}

/* The last entry of a name in a layer wins. Entries that went through a link which is one no more are looked at anew.
 */
static int replace_leaf(struct tree *t, struct tree_node *n, unsigned layer, mode_t mode) {
        if (n->layer < layer)
                return 0;
        if (!n->children || S_ISLNK(mode))
                return 1;
        g_ptr_array_remove(t->through, n);
        if (S_ISDIR(mode) || prune(t, n, layer))
                return 1;
        n->kind = TREE_DIRECTORY;
        shut(n, layer);
        describe_plain(t, n);
        return 0;
}

/* A name that is taken: 1 when the entry gets it, 0 when it is hidden. */
static int replace(struct tree *t, struct tree_node *n, unsigned layer, mode_t mode) {
        switch (n->kind) {
        case TREE_DIRECTORY:
                if (S_ISDIR(mode))
                        return !n->told || n->layer == layer;
                return replace_directory(t, n, layer, mode);
        case TREE_WHITEOUT:
                if (n->layer < layer)
                        return 0;
                if (S_ISDIR(mode))
                        shut(n, n->layer);
                return 1;
        default:
                return replace_leaf(t, n, layer, mode);
        }
}

/* The node an entry may fill: 1, 0 hidden, negative. */
static int place(struct tree *t, unsigned layer, const char *path, mode_t mode, struct tree_node **ret) {
        struct tree_node *at, *n;
        const char *name;
        int r;

        if (!*path) {
                if (!S_ISDIR(mode))
                        return -EISDIR;
                *ret = t->root;
                return !t->root->told || t->root->layer == layer;
        }
        r = walk(t, layer, path, &at, &name);
        if (r <= 0)
                return r;
        n = tree_child(t, at, name, strlen(name));
        if (n) {
                r = replace(t, n, layer, mode);
                if (r <= 0)
                        return r;
        } else {
                n = tree_new_node(t, at, name, strlen(name), layer);
                if (!n)
                        return -E2BIG;
        }
        *ret = n;
        return 1;
}

int tree_add(struct tree *t,
        unsigned layer,
        const char *path,
        const struct tree_inode *attributes,
        const char *target,
        struct tree_inode **ret_inode) {
        struct tree_inode *inode;
        struct tree_node *n;
        int r;

        r = place(t, layer, path, attributes->mode, &n);
        if (r < 0)
                return r;
        if (r == 0)
                return tree_add_awaited(t, path, attributes, target, ret_inode);
        inode = tree_new_inode(t, attributes, target);
        if (!inode)
                return -E2BIG;
        if (n == t->root)
                n->layer = (uint16_t) layer;
        set_inode(n, inode, layer);
        if (!S_ISDIR(inode->mode))
                (void) tree_answer_links(t, path, inode);
        *ret_inode = inode;
        return 1;
}

int tree_add_awaited(struct tree *t,
        const char *path,
        const struct tree_inode *attributes,
        const char *target,
        struct tree_inode **ret_inode) {
        struct tree_inode *inode;

        if (S_ISDIR(attributes->mode) || !g_hash_table_contains(t->awaited, path))
                return 0;
        inode = tree_new_inode(t, attributes, target);
        if (!inode)
                return -E2BIG;
        (void) tree_answer_links(t, path, inode);
        *ret_inode = inode;
        return 1;
}

bool tree_awaits(struct tree *t, unsigned layer) {
        return t->awaiting_layer == layer + 1 && g_hash_table_size(t->awaited) > 0;
}

int tree_link(struct tree *t, unsigned layer, const char *path, const char *target) {
        struct tree_node *n, *to;
        int r;

        to = tree_find(t, target);
        if (!*target || (to && to->kind == TREE_DIRECTORY && to->layer == layer))
                return -EISDIR;
        if (strcmp(path, target) == 0)
                return -ELOOP;
        r = place(t, layer, path, S_IFREG, &n);
        if (r < 0)
                return r;
        if (to && to->kind == TREE_LEAF && to->layer == layer) {
                if (r > 0)
                        set_inode(n, to->inode, layer);
                return tree_answer_links(t, path, to->inode) || r > 0;
        }
        if (r > 0) {
                n->kind = TREE_LINK;
                n->inode = NULL;
                n->told = true;
                t->awaiting_layer = layer + 1;
                if (tree_await(t, target, n) < 0)
                        return -E2BIG;
        }
        return r;
}

int tree_whiteout(struct tree *t, unsigned layer, const char *path) {
        struct tree_node *at, *n;
        const char *name;
        int r;

        r = walk(t, layer, path, &at, &name);
        if (r <= 0)
                return r;
        n = tree_child(t, at, name, strlen(name));
        if (n) {
                /* A whiteout speaks of lower layers only: what is here stays, and takes nothing from below. */
                if (n->kind != TREE_DIRECTORY)
                        return n->layer >= layer;
                shut(n, layer);
                if (!n->inode)
                        describe_plain(t, n);
                return 1;
        }
        n = tree_new_node(t, at, name, strlen(name), layer);
        if (!n)
                return -E2BIG;
        n->kind = TREE_WHITEOUT;
        return 1;
}

int tree_opaque(struct tree *t, unsigned layer, const char *path) {
        struct tree_node *at, *n = t->root;
        const char *name;
        int r;

        if (*path) {
                r = walk(t, layer, path, &at, &name);
                if (r > 0)
                        r = step(t, layer, at, name, strlen(name), &n);
                if (r <= 0)
                        return r;
        }
        shut(n, layer);
        return 1;
}
