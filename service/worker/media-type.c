/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of media types. */
#include "worker/media-type.h"

#include <stddef.h>
#include <string.h>

#define OCI "application/vnd.oci.image."
#define DOCKER "application/vnd.docker."

static const struct {
        const char *type;
        enum media_kind kind;
} table[] = {
        {OCI "index.v1+json", MEDIA_INDEX},
        {DOCKER "distribution.manifest.list.v2+json", MEDIA_INDEX},
        {OCI "manifest.v1+json", MEDIA_MANIFEST},
        {DOCKER "distribution.manifest.v2+json", MEDIA_MANIFEST},
        {OCI "config.v1+json", MEDIA_CONFIG},
        {DOCKER "container.image.v1+json", MEDIA_CONFIG},
        {OCI "layer.v1.tar", MEDIA_LAYER},
        {OCI "layer.v1.tar+gzip", MEDIA_LAYER},
        {OCI "layer.v1.tar+zstd", MEDIA_LAYER},
        {DOCKER "image.rootfs.diff.tar", MEDIA_LAYER},
        {DOCKER "image.rootfs.diff.tar.gzip", MEDIA_LAYER},
        {DOCKER "image.rootfs.diff.tar.zstd", MEDIA_LAYER},
        {OCI "layer.nondistributable.v1.tar", MEDIA_FOREIGN},
        {OCI "layer.nondistributable.v1.tar+gzip", MEDIA_FOREIGN},
        {OCI "layer.nondistributable.v1.tar+zstd", MEDIA_FOREIGN},
        {DOCKER "image.rootfs.foreign.diff.tar.gzip", MEDIA_FOREIGN},
};

enum media_kind media_kind(const char *type) {
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
                if (strcmp(table[i].type, type) == 0)
                        return table[i].kind;
        return MEDIA_UNKNOWN;
}

const char *media_kind_accepted(enum media_kind kind) {
        switch (kind) {
        case MEDIA_INDEX:
        case MEDIA_MANIFEST:
                return "an OCI index or manifest, or docker's manifest list or manifest version 2 schema 2";
        case MEDIA_CONFIG:
                return "an OCI image config or docker's container image config";
        default:
                return "OCI or docker layers as tar, tar+gzip or tar+zstd";
        }
}
