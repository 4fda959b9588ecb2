/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The merge of layers, written as the tree tests write them. */
#include <stdlib.h>
#include <string.h>

#include "../unit/worker/tree-script.h"

#define NODES_MAX 2000U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_node(struct tree *t, const struct tree_node *n) {
        const char *last = NULL;

        if (!n->inode || (n->kind == TREE_DIRECTORY) != S_ISDIR(n->inode->mode) || n->kind > TREE_LEAF ||
                n->inode->links == 0)
                abort();
        if (n->kind == TREE_LEAF && n->children)
                abort();
        for (const struct tree_node *c = n->children; c; c = c->next) {
                if (c->parent != n || !c->name[0] || strchr(c->name, '/') || (last && strcmp(last, c->name) >= 0))
                        abort();
                last = c->name;
                check_node(t, c);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        g_autofree char *script = g_strndup((const char *) data, size);
        g_autofree char *culprit = NULL;
        g_autofree char *list = NULL;
        struct tree *t;

        t = tree_new(NODES_MAX);
        if (tree_script_merge(t, script, &culprit) >= 0) {
                check_node(t, tree_root(t));
                list = tree_script_list(t);
        }
        tree_free(t);
        return 0;
}
