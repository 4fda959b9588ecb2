/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of the tree, its nodes by (parent, name), and the hard links that wait for their targets. */
#include "worker/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "worker/tree-private.h"

#define BLOCK_BYTES (256U * 1024U)
#define SLOTS_FIRST 1024U

void *tree_alloc(struct tree *t, size_t size) {
        char *block;

        size = (size + 7U) & ~(size_t) 7U;
        if (size > TREE_BYTES_MAX - t->n_bytes)
                return NULL;
        t->n_bytes += size;
        if (size > BLOCK_BYTES / 4) {
                /* A block of its own, put before the one in use. */
                block = g_malloc0(size);
                g_ptr_array_insert(t->blocks, 0, block);
                return block;
        }
        if (t->block_left < size) {
                g_ptr_array_add(t->blocks, g_malloc0(BLOCK_BYTES));
                t->block_left = BLOCK_BYTES;
        }
        block = g_ptr_array_index(t->blocks, t->blocks->len - 1);
        block += BLOCK_BYTES - t->block_left;
        t->block_left -= size;
        return block;
}

/* Names are chosen by strangers, so the hash is seeded. */
static uint32_t hash_name(const struct tree *t, const struct tree_node *parent, const char *name, size_t len) {
        uint64_t h = t->seed ^ (uint64_t) (uintptr_t) parent;

        for (size_t i = 0; i < len; i++) {
                h = (h ^ (unsigned char) name[i]) * (t->seed | 1U);
                h ^= h >> 29;
        }
        return (uint32_t) (h ^ (h >> 32));
}

static void slot_put(struct tree *t, struct tree_node *node) {
        size_t i = node->hash & (t->n_slots - 1);

        while (t->slots[i])
                i = (i + 1) & (t->n_slots - 1);
        t->slots[i] = node;
        t->n_used++;
}

/* Grows at two thirds; nodes that were detached (no parent) are left behind. */
static void slots_grow(struct tree *t) {
        struct tree_node **old = t->slots;
        size_t n_old = t->n_slots;

        if (t->n_used < t->n_slots / 3 * 2)
                return;
        t->n_slots *= 2;
        t->slots = g_new0(struct tree_node *, t->n_slots);
        t->n_used = 0;
        for (size_t i = 0; i < n_old; i++)
                if (old[i] && old[i]->parent)
                        slot_put(t, old[i]);
        g_free(old);
}

struct tree_node *tree_child(struct tree *t, struct tree_node *parent, const char *name, size_t len) {
        uint32_t hash = hash_name(t, parent, name, len);

        for (size_t i = hash & (t->n_slots - 1); t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
                struct tree_node *n = t->slots[i];

                if (n->hash == hash && n->parent == parent && strncmp(n->name, name, len) == 0 && n->name[len] == 0)
                        return n;
        }
        return NULL;
}

void tree_attach(struct tree *t, struct tree_node *parent, struct tree_node *node) {
        node->parent = parent;
        node->next = parent->children;
        parent->children = node;
        node->hash = hash_name(t, parent, node->name, strlen(node->name));
        slots_grow(t);
        slot_put(t, node);
}

void tree_forget(struct tree *t, struct tree_node *node) {
        static struct tree_node nobody;
        size_t i = node->hash & (t->n_slots - 1);

        while (t->slots[i] != node)
                i = (i + 1) & (t->n_slots - 1);
        t->slots[i] = &nobody;
        node->parent = node->next = NULL;
}

struct tree_node *tree_new_node(
        struct tree *t, struct tree_node *parent, const char *name, size_t len, unsigned layer) {
        struct tree_node *n;

        if (t->n_nodes >= t->max_nodes)
                return NULL;
        t->n_nodes++;
        n = tree_alloc(t, sizeof *n + len + 1);
        if (!n)
                return NULL;
        memcpy(n->name, name, len);
        n->layer = (uint16_t) layer;
        n->closed = LAYER_OPEN;
        n->kind = TREE_DIRECTORY;
        if (parent)
                tree_attach(t, parent, n);
        return n;
}

struct tree_inode *tree_new_inode(struct tree *t, const struct tree_inode *attributes, const char *target) {
        struct tree_inode *inode = tree_alloc(t, sizeof *inode);
        char *copy = NULL;

        if (!inode)
                return NULL;
        if (S_ISLNK(attributes->mode)) {
                copy = tree_alloc(t, strlen(target) + 1);
                if (!copy)
                        return NULL;
                strcpy(copy, target);
        }
        *inode = *attributes;
        inode->links = 0;
        if (S_ISLNK(inode->mode))
                inode->target = copy;
        if (S_ISREG(inode->mode))
                inode->file = NULL;
        inode->next = t->inodes;
        t->inodes = inode;
        return inode;
}

struct tree_inode *tree_new_plain(struct tree *t) {
        static const struct tree_inode plain = {.mode = S_IFDIR | 0755, .xattr = TREE_NO_XATTR};

        return tree_new_inode(t, &plain, NULL);
}

int tree_await(struct tree *t, const char *target, struct tree_node *node) {
        GPtrArray *nodes = g_hash_table_lookup(t->awaited, target);

        if (!nodes) {
                char *key = tree_alloc(t, strlen(target) + 1);

                if (!key)
                        return -E2BIG;
                strcpy(key, target);
                nodes = g_ptr_array_new();
                g_hash_table_insert(t->awaited, key, nodes);
        }
        g_ptr_array_add(nodes, node);
        return 0;
}

bool tree_answer_links(struct tree *t, const char *path, struct tree_inode *inode) {
        GPtrArray *nodes = g_hash_table_lookup(t->awaited, path);

        if (!nodes)
                return false;
        for (guint i = 0; i < nodes->len; i++) {
                struct tree_node *n = g_ptr_array_index(nodes, i);

                if (n->stand_in)
                        n = n->stand_in;
                if (n->kind == TREE_LINK) {
                        n->kind = TREE_LEAF;
                        n->inode = inode;
                }
        }
        g_hash_table_remove(t->awaited, path);
        return true;
}

struct tree *tree_new(uint64_t max_nodes) {
        struct tree *t = g_new0(struct tree, 1);

        if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) < 0)
                t->seed = 0x9e3779b97f4a7c15U ^ (uint64_t) (uintptr_t) t;
        t->max_nodes = MAX(max_nodes, 1U);
        t->blocks = g_ptr_array_new_with_free_func(g_free);
        t->awaited = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) g_ptr_array_unref);
        t->through = g_ptr_array_new();
        t->n_slots = SLOTS_FIRST;
        t->slots = g_new0(struct tree_node *, t->n_slots);
        t->root = tree_new_node(t, NULL, "", 0, 0);
        t->root->inode = tree_new_plain(t);
        return t;
}

struct tree *tree_free(struct tree *t) {
        if (!t)
                return NULL;
        for (struct tree_inode *i = t->inodes; i; i = i->next)
                if (S_ISREG(i->mode))
                        free(i->file);
        g_hash_table_unref(t->awaited);
        g_ptr_array_unref(t->through);
        g_free(t->slots);
        g_ptr_array_unref(t->blocks);
        g_free(t);
        return NULL;
}

struct tree_node *tree_root(struct tree *t) {
        return t->root;
}

uint64_t tree_size(const struct tree *t) {
        return t->n_nodes;
}

struct tree_node *tree_find(struct tree *t, const char *path) {
        struct tree_node *n = t->root;

        while (n && *path) {
                size_t len = strcspn(path, "/");

                n = tree_child(t, n, path, len);
                path += len;
                path += *path == '/';
        }
        return n;
}

char *tree_path(const struct tree_node *node) {
        GString *s = g_string_new(node->name);

        for (const struct tree_node *p = node->parent; p && p->parent; p = p->parent) {
                g_string_prepend_c(s, '/');
                g_string_prepend(s, p->name);
        }
        return g_string_free(s, FALSE);
}
