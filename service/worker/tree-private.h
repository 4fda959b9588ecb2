/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "worker/tree.h"

/* What the files of the tree share: tree.c owns memory and look-up, tree-merge.c the layers, tree-settle.c the end. */

#define LAYER_OPEN UINT16_MAX /* of "closed": nothing is shut out */

struct tree {
        struct tree_node *root;
        struct tree_inode *inodes;
        struct tree_node **slots; /* nodes by (parent, name), open addressing; a power of two */
        size_t n_slots, n_used;
        GHashTable *awaited; /* target path -> GPtrArray of TREE_LINK nodes */
        GPtrArray *blocks;   /* memory of nodes, inodes and link targets */
        size_t block_left;
        uint64_t n_nodes, max_nodes;
        size_t n_bytes;
        uint64_t seed;           /* of the hash: names are chosen by strangers */
        unsigned awaiting_layer; /* + 1, of the last tree_link() that waits; 0 none */
        GPtrArray *through;      /* symbolic links with entries behind them */
};

/* NULL when TREE_BYTES_MAX or max_nodes is reached; memory itself does not run out (GLib aborts). */
void *tree_alloc(struct tree *t, size_t size);
struct tree_inode *tree_new_inode(struct tree *t, const struct tree_inode *attributes, const char *target);
/* Of a directory nobody described: 0755, root's. */
struct tree_inode *tree_new_plain(struct tree *t);
struct tree_node *tree_new_node(struct tree *t, struct tree_node *parent, const char *name, size_t len, unsigned layer);
struct tree_node *tree_child(struct tree *t, struct tree_node *parent, const char *name, size_t len);
void tree_attach(struct tree *t, struct tree_node *parent, struct tree_node *node);
/* Takes the name out of the look-up; the caller takes the node out of its parent's list. Its memory stays the tree's.
 */
void tree_forget(struct tree *t, struct tree_node *node);

/* Gives all links that wait for path this inode. */
bool tree_answer_links(struct tree *t, const char *path, struct tree_inode *inode);
int tree_await(struct tree *t, const char *target, struct tree_node *node);

static inline bool tree_is_symlink(const struct tree_node *n) {
        return n->kind == TREE_LEAF && n->inode && S_ISLNK(n->inode->mode);
}
