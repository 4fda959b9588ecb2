/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "worker/failure.h"
#include "worker/media-type.h"

/* The JSON documents of OCI layouts and docker archives, checked and made structs. Pure: bytes in, structs out. All
 * parsers answer 0 or -EBADMSG with UnsupportedImage (-E2BIG with LimitExceeded) naming document and key. */

#define OCI_INDEX_ENTRIES_MAX 1000U
#define OCI_CONFIG_BYTES_MAX (48U * 1024U) /* of what goes into the done message, which is one packet */

typedef struct oci_descriptor {
        enum media_kind kind; /* MEDIA_UNKNOWN where the document leaves the type open */
        char *media_type, *digest;
        char *os, *architecture; /* platform, NULL when it has none */
        char *name;              /* the annotation with the reference's name, NULL when it has none */
        uint64_t size;
} oci_descriptor;

/* A manifest or an index: which one it is shows in what it holds. */
typedef struct oci_document {
        bool is_index;
        GPtrArray *manifests;   /* of an index: oci_descriptor */
        oci_descriptor *config; /* of a manifest */
        GPtrArray *layers;      /* of a manifest, lowest first: oci_descriptor */
} oci_document;

typedef struct oci_config {
        char *os, *architecture; /* NULL when missing */
        GPtrArray *diff_ids;     /* lowest first */
        json_t *run;             /* "config" of the done message */
} oci_config;

/* One image of a docker archive's manifest.json. */
typedef struct docker_manifest {
        char *config;      /* member of the archive */
        char *name;        /* first tag or NULL */
        GPtrArray *layers; /* members of the archive, lowest first */
} docker_manifest;

int oci_document_parse(const char *text, size_t len, uint64_t max_layers, oci_document **ret, struct failure *f);
int oci_config_parse(const char *text, size_t len, oci_config **ret, struct failure *f);
int docker_manifest_parse(const char *text, size_t len, uint64_t max_layers, docker_manifest **ret, struct failure *f);
/* The file oci-layout. */
int oci_layout_check(const char *text, size_t len, struct failure *f);

/* The manifest or nested index for a Linux of architecture (OCI's name), borrowed. -ENOENT and UnsupportedImage that
 * lists what there is. */
int oci_document_choose(
        const oci_document *index, const char *architecture, const oci_descriptor **ret, struct failure *f);

void oci_descriptor_free(oci_descriptor *d);
void oci_document_free(oci_document *d);
void oci_config_free(oci_config *c);
void docker_manifest_free(docker_manifest *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(oci_descriptor, oci_descriptor_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(oci_document, oci_document_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(oci_config, oci_config_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(docker_manifest, docker_manifest_free)
