/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* Archives for tests, made in memory. All results are the caller's. */

enum packing { PLAIN, GZIP, ZSTD, XZ };

/* A tar of lines "TYPE PATH WHAT": d and f (WHAT: content) 0755 and 0644, l and h (WHAT: target), p a FIFO, c a device
 * 5:1, s a set-uid file of 12:34 with mtime 99 and attributes, x an empty file with user.n=WHAT, z a sparse file of 1
 * MiB with "end" at its end. */
GByteArray *make_tar(const char *script);
GByteArray *pack(const GByteArray *data, enum packing packing);

char *sha256_of(const GByteArray *data); /* "sha256:..." */

/* An archive that grows member by member. */
typedef struct maker maker;
maker *maker_new(void);
void maker_add(maker *m, const char *name, const void *data, size_t len);
void maker_add_text(maker *m, const char *name, const char *text);
/* A blob of an OCI layout under its digest; its descriptor. */
char *maker_add_blob(maker *m, const GByteArray *data, const char *type);
char *maker_add_text_blob(maker *m, const char *text, const char *type);
GByteArray *maker_end(maker *m);

/* What an OCI archive is made of; each text NULL for the usual one. */
struct oci_parts {
        const GByteArray *const *layers; /* lowest first, NULL-terminated */
        const char *layer_type;
        const char *config;
        const char *index;           /* format with one %s: the manifest's descriptor */
        bool damage_layer;           /* the last layer's last byte is another */
        const char *manifest_digest; /* instead of the right one */
};
GByteArray *make_oci(const struct oci_parts *parts);
/* One plain layer of a script. */
GByteArray *make_oci_simple(const char *script);
/* docker save's form; wrong: the config names another digest for the layer. */
GByteArray *make_docker(const GByteArray *layer_file, const GByteArray *layer_tar, bool wrong);
