/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "worker/failure.h"

/* How much one image may ask of us. A launch message can set each; what is above the
 * hard end (second constant) means the hard end. */

#define LIMIT_BYTES_DEFAULT (16ULL << 30) /* sum of all file sizes, holes included */
#define LIMIT_BYTES_MAX (1ULL << 40)
#define LIMIT_ENTRIES_DEFAULT 1000000U /* entries of all layers, hidden ones included; and names in the tree */
#define LIMIT_ENTRIES_MAX 10000000U
#define LIMIT_LAYERS_DEFAULT 256U
#define LIMIT_LAYERS_MAX 1024U /* their digests go into the done message, which is one packet */
#define LIMIT_DEPTH_DEFAULT 128U /* names in a path */
#define LIMIT_DEPTH_MAX 1024U
#define LIMIT_MANIFEST_DEFAULT (4U << 20) /* bytes of an index, manifest or config */
#define LIMIT_MANIFEST_MAX (16U << 20)
#define LIMIT_NAME_DEFAULT 255U /* bytes of one name; NAME_MAX */
#define LIMIT_NAME_MAX 255U

/* Not settable. One file: libsquashfs keeps 4 bytes per 128 KiB block on the stack when it writes the inode. */
#define LIMIT_FILE_BYTES (128ULL << 30)
#define LIMIT_LINK_TARGET 4095U         /* bytes of a symbolic link, PATH_MAX - 1 */
#define LIMIT_XATTR_VALUE (64U << 10)   /* XATTR_SIZE_MAX */
#define LIMIT_XATTR_BYTES (16ULL << 20) /* names and values of all extended attributes */
#define LIMIT_ARCHIVE_MEMBERS 100000U   /* files in an OCI or docker archive */
#define LIMIT_INDEX_DEPTH 4U            /* index in index in index */

struct limits {
        uint64_t bytes;
        uint64_t entries;
        uint64_t layers;
        uint64_t depth;
        uint64_t manifest;
        uint64_t name;
};

/* Reads the object "limits" of a launch message; NULL gives the defaults. InvalidSpec for unknown keys and for what is
 * no integer of at least 1. */
int limits_parse(const json_t *object, struct limits *ret, struct failure *f);
