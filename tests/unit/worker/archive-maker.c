/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tars, OCI archives and docker archives, right and wrong. */
#include "archive-maker.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

#include "worker/digest.h"

#define SPARSE_BYTES (1U << 20)

struct maker {
        struct archive *archive;
        GByteArray *out;
};

static la_ssize_t on_write(struct archive *a, void *user, const void *data, size_t len) {
        g_byte_array_append(user, data, (guint) len);
        return (la_ssize_t) len;
}

static maker *start(struct archive *a) {
        maker *m = g_new0(maker, 1);

        m->archive = a;
        m->out = g_byte_array_new();
        archive_write_set_bytes_in_last_block(a, 1);
        g_assert_cmpint(archive_write_open(a, m->out, NULL, on_write, NULL), ==, ARCHIVE_OK);
        return m;
}

maker *maker_new(void) {
        struct archive *a = archive_write_new();

        archive_write_set_format_pax_restricted(a);
        return start(a);
}

GByteArray *maker_end(maker *m) {
        GByteArray *out = m->out;

        g_assert_cmpint(archive_write_close(m->archive), ==, ARCHIVE_OK);
        archive_write_free(m->archive);
        g_free(m);
        return out;
}

static void put(maker *m, struct archive_entry *e, const void *data, size_t len) {
        g_assert_cmpint(archive_write_header(m->archive, e), ==, ARCHIVE_OK);
        if (len > 0)
                g_assert_cmpint(archive_write_data(m->archive, data, len), ==, len);
        archive_entry_free(e);
}

static struct archive_entry *entry(const char *name, mode_t type, mode_t mode) {
        struct archive_entry *e = archive_entry_new();

        archive_entry_set_pathname(e, name);
        archive_entry_set_filetype(e, type);
        archive_entry_set_perm(e, mode);
        archive_entry_set_mtime(e, 7, 0);
        return e;
}

void maker_add(maker *m, const char *name, const void *data, size_t len) {
        struct archive_entry *e = entry(name, AE_IFREG, 0644);

        archive_entry_set_size(e, (la_int64_t) len);
        put(m, e, data, len);
}

void maker_add_text(maker *m, const char *name, const char *text) {
        maker_add(m, name, text, strlen(text));
}

static void add_sparse(maker *m, const char *name) {
        struct archive_entry *e = entry(name, AE_IFREG, 0644);
        g_autofree char *data = g_malloc0(SPARSE_BYTES);

        memcpy(data + SPARSE_BYTES - 3, "end", 3);
        archive_entry_set_size(e, SPARSE_BYTES);
        archive_entry_sparse_add_entry(e, SPARSE_BYTES - 512, 512);
        put(m, e, data, SPARSE_BYTES);
}

static void add_special(maker *m, const char *name) {
        struct archive_entry *e = entry(name, AE_IFREG, 04755);

        archive_entry_set_uid(e, 12);
        archive_entry_set_gid(e, 34);
        archive_entry_set_mtime(e, 99, 0);
        archive_entry_set_size(e, 3);
        archive_entry_xattr_add_entry(e, "user.color", "blue", 4);
        archive_entry_xattr_add_entry(e, "security.capability", "cap", 3);
        archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
        put(m, e, "sui", 3);
}

static void add_line(maker *m, char type, const char *name, const char *what) {
        struct archive_entry *e;

        switch (type) {
        case 'd':
                put(m, entry(name, AE_IFDIR, 0755), NULL, 0);
                break;
        case 'f':
                maker_add_text(m, name, what);
                break;
        case 'l':
                e = entry(name, AE_IFLNK, 0777);
                archive_entry_set_symlink(e, what);
                put(m, e, NULL, 0);
                break;
        case 'h':
                e = entry(name, AE_IFREG, 0644);
                archive_entry_set_hardlink(e, what);
                put(m, e, NULL, 0);
                break;
        case 'p':
                put(m, entry(name, AE_IFIFO, 0600), NULL, 0);
                break;
        case 'c':
                e = entry(name, AE_IFCHR, 0600);
                archive_entry_set_rdevmajor(e, 5);
                archive_entry_set_rdevminor(e, 1);
                put(m, e, NULL, 0);
                break;
        case 's':
                add_special(m, name);
                break;
        case 'x':
                e = entry(name, AE_IFREG, 0644);
                archive_entry_set_size(e, 0);
                archive_entry_xattr_add_entry(e, "user.n", what, strlen(what));
                put(m, e, NULL, 0);
                break;
        case 'z':
                add_sparse(m, name);
                break;
        default:
                g_assert_not_reached();
        }
}

GByteArray *make_tar(const char *script) {
        maker *m = maker_new();

        while (*script) {
                size_t len = strcspn(script, "\n");
                g_autofree char *line = g_strndup(script, len);
                g_auto(GStrv) words = g_strsplit(line, " ", 3);

                if (*line)
                        add_line(m, words[0][0], words[1], words[2]);
                script += len + (script[len] == '\n');
        }
        return maker_end(m);
}

GByteArray *pack(const GByteArray *data, enum packing packing) {
        struct archive *a = archive_write_new();
        struct archive_entry *e = entry("data", AE_IFREG, 0644);
        maker *m;

        archive_write_set_format_raw(a);
        if (packing == GZIP)
                archive_write_add_filter_gzip(a);
        if (packing == ZSTD)
                archive_write_add_filter_zstd(a);
        if (packing == XZ)
                archive_write_add_filter_xz(a);
        m = start(a);
        put(m, e, data->data, data->len);
        return maker_end(m);
}

char *sha256_of(const GByteArray *data) {
        char text[DIGEST_TEXT_SIZE];

        g_assert_cmpint(digest_of(data->data, data->len, text), ==, 0);
        return g_strdup(text);
}

/* damage: its last byte is another than the digest is of. */
static char *add_blob(maker *m, const GByteArray *data, const char *type, bool damage) {
        g_autofree char *digest = sha256_of(data);
        g_autofree char *path = g_strconcat("blobs/sha256/", digest + 7, NULL);
        g_autofree char *copy = g_memdup2(data->data, data->len);

        if (damage)
                copy[data->len - 1] ^= 1;
        maker_add(m, path, copy, data->len);
        return g_strdup_printf("{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%u}", type, digest, data->len);
}

char *maker_add_blob(maker *m, const GByteArray *data, const char *type) {
        return add_blob(m, data, type, false);
}

char *maker_add_text_blob(maker *m, const char *text, const char *type) {
        g_autoptr(GByteArray) data =
                g_byte_array_append(g_byte_array_new(), (const guint8 *) text, (guint) strlen(text));

        return add_blob(m, data, type, false);
}

static char *layer_descriptors(maker *m, const struct oci_parts *parts) {
        GString *s = g_string_new(NULL);

        for (const GByteArray *const *l = parts->layers; *l; l++) {
                g_autofree char *blob = add_blob(m, *l, parts->layer_type ?: "application/vnd.oci.image.layer.v1.tar",
                        parts->damage_layer && !l[1]);

                g_string_append_printf(s, "%s%s", s->len > 0 ? "," : "", blob);
        }
        return g_string_free(s, FALSE);
}

GByteArray *make_oci(const struct oci_parts *parts) {
        maker *m = maker_new();
        g_autofree char *layers = layer_descriptors(m, parts);
        g_autofree char *config = maker_add_text_blob(m,
                parts->config
                        ?: "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"/"
                           "x\"],\"ExposedPorts\":{\"80/"
                           "tcp\":{}}}}",
                "application/vnd.oci.image.config.v1+json");
        g_autofree char *manifest =
                g_strdup_printf("{\"schemaVersion\":2,\"config\":%s,\"layers\":[%s]}", config, layers);
        g_autofree char *descriptor = maker_add_text_blob(m, manifest, "application/vnd.oci.image.manifest.v1+json");
        g_autoptr(GString) index = g_string_new(parts->index ?: "{\"schemaVersion\":2,\"manifests\":[%s]}");

        g_string_replace(index, "%s", descriptor, 0);
        if (parts->manifest_digest) {
                g_autofree char *right = g_strndup(strstr(descriptor, "sha256:"), 71);

                g_string_replace(index, right, parts->manifest_digest, 0);
        }
        maker_add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        maker_add_text(m, "index.json", index->str);
        return maker_end(m);
}

GByteArray *make_oci_simple(const char *script) {
        g_autoptr(GByteArray) layer = make_tar(script);
        const GByteArray *const layers[] = {layer, NULL};

        return make_oci(&(struct oci_parts){.layers = layers});
}

GByteArray *make_docker(const GByteArray *layer_file, const GByteArray *layer_tar, bool wrong) {
        maker *m = maker_new();
        g_autofree char *diff_id = sha256_of(layer_tar);
        g_autofree char *config = NULL;

        if (wrong)
                diff_id[8] = diff_id[8] == '0' ? '1' : '0';
        config = g_strdup_printf("{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"web\"},"
                                 "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
                diff_id);
        /* The layer is reached through a link, as old docker writes one that it has already. */
        maker_add(m, "aaa/layer.tar", layer_file->data, layer_file->len);
        add_line(m, 'l', "bbb/layer.tar", "../aaa/layer.tar");
        maker_add_text(m, "config.json", config);
        maker_add_text(m, "manifest.json",
                "[{\"Config\":\"config.json\",\"RepoTags\":[\"web:1\"],\"Layers\":[\"bbb/layer.tar\"]}]");
        return maker_end(m);
}
