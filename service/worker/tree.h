/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/*
 * The file tree of an image while its layers are merged, top layer first.
 *
 * What an upper layer said stays; a lower layer fills gaps. Nothing here touches the host: a path is a walk in this
 * tree and nothing else. Layers are numbered from 0, the top; "below" means a larger number. Paths are clean (see
 * entry-name.h): components with single slashes between, no "." or "..", "" is the root.
 *
 * An entry whose path leads through a symbolic link of its own or a lower layer (bin/sh over a layer with
 * bin -> usr/bin) lands where the link leads, inside the tree: that is what container runtimes do. Until all layers are
 * seen such an entry hangs below the link's own name; tree_settle() brings it home.
 */

#define TREE_LAYERS_MAX 65534U
#define TREE_NO_XATTR UINT32_MAX
#define TREE_BYTES_MAX ((size_t) 256 << 20) /* of names, attributes and link targets */
#define TREE_DEPTH_MAX 2048U                /* of a directory that a link leads to */
#define TREE_LINKS_MAX 40U                  /* symbolic links followed on one path, as the kernel does */

struct tree_inode {
        struct tree_inode *next; /* of all inodes of the tree */
        uint32_t mode;           /* type and permissions as st_mode */
        uint32_t uid, gid, mtime;
        uint32_t xattr;  /* index in the image's attribute table or TREE_NO_XATTR */
        uint32_t links;  /* names, set by tree_settle() */
        uint32_t number; /* inode number in the image, set by its writer */
        uint64_t where;  /* place in the image's inode table, set by its writer */
        union {
                void *file;      /* regular: the image writer's own, malloc()ed, freed with the tree when left */
                char *target;    /* symbolic link */
                uint32_t device; /* device node, as the image encodes it */
        };
};

enum tree_kind {
        TREE_DIRECTORY,
        TREE_LEAF,     /* everything else that exists */
        TREE_WHITEOUT, /* hides what is below */
        TREE_LINK,     /* hard link whose target was not seen yet */
};

struct tree_node {
        struct tree_node *parent, *next, *children;
        struct tree_inode *inode;   /* NULL for whiteouts and open links */
        struct tree_node *stand_in; /* of an open link that was moved: who has its name now */
        uint32_t hash;              /* of parent and name */
        uint16_t layer;             /* that made it */
        uint16_t closed;            /* layers below this one add nothing beneath */
        uint8_t kind;
        bool told; /* its attributes come from an entry; else a parent nobody described yet */
        char name[];
};

struct tree;

/* At most max_nodes names and TREE_BYTES_MAX of memory; more give -E2BIG. */
struct tree *tree_new(uint64_t max_nodes);
struct tree *tree_free(struct tree *t);

struct tree_node *tree_root(struct tree *t);

/* All verbs below return 1 when the entry counts, 0 when an upper layer hides it, -ENOTDIR when a file of the same
 * layer is in the way of the path, -EISDIR for a hard link to a directory or a root that is none, -E2BIG. */

/* Adds an entry. *ret_inode is then the inode to fill in (attributes and, for a regular file, data). A hidden entry
 * that a hard link of an upper layer waits for counts too. target is copied. */
int tree_add(struct tree *t,
        unsigned layer,
        const char *path,
        const struct tree_inode *attributes,
        const char *target,
        struct tree_inode **ret_inode);
int tree_link(struct tree *t, unsigned layer, const char *path, const char *target);
int tree_whiteout(struct tree *t, unsigned layer, const char *path);
int tree_opaque(struct tree *t, unsigned layer, const char *path);

/* Whether hard links wait for files of this very layer, which an upper layer hid when they passed by: then the layer is
 * read again and tree_add_awaited() takes only those. */
bool tree_awaits(struct tree *t, unsigned layer);
int tree_add_awaited(struct tree *t,
        const char *path,
        const struct tree_inode *attributes,
        const char *target,
        struct tree_inode **ret_inode);

/* Ends the merge: entries go where links lead, hard links are resolved, whiteouts go, children are sorted by name,
 * links counted. On failure *ret_culprit (caller frees) is a path: -ENOENT a hard link without a target, -ELOOP and
 * -ENOTDIR a link that leads nowhere with entries behind it. */
int tree_settle(struct tree *t, char **ret_culprit);

/* After tree_settle(): the node of a path, or NULL. Follows nothing. */
struct tree_node *tree_find(struct tree *t, const char *path);
char *tree_path(const struct tree_node *node);
uint64_t tree_size(const struct tree *t);
