/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiles from a tar into a store, from there into an artifact, and back; and artifacts that are not what they say. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-maker.h"
#include "shared/fd.h"
#include "shared/artifact-type.h"
#include "shared/profile-path.h"
#include "shared/wire.h"
#include "worker-run.h"

#define BUILD                                                                                                          \
        "d bin\nf bin/qemu-system-x86_64 program\nl lib/libz.so libz.so.1\nf lib/libz.so.1 library\nf firmware/a "     \
        "\nf firmware/b library\n"
#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define MANIFEST_TYPE "application/vnd.oci.image.manifest.v1+json"

/* The daemon's part: objects by their hashes. */
struct objects {
        GHashTable *by_hash; /* text -> GINT_TO_POINTER(fd) */
        GArray *given;       /* int, in order */
        guint told;
};

static struct objects *objects_new(void) {
        struct objects *s = g_new0(struct objects, 1);

        s->by_hash = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        s->given = g_array_new(FALSE, FALSE, sizeof(int));
        return s;
}

static void objects_free(struct objects *s) {
        for (guint i = 0; i < s->given->len; i++)
                (void) close_fd(g_array_index(s->given, int, i));
        g_hash_table_unref(s->by_hash);
        g_array_unref(s->given);
        g_free(s);
}

static void answer(int sock, const char *type, const int *fds, size_t n) {
        json_t *names = json_array(), *m;

        for (size_t i = 0; i < n; i++)
                (void) json_array_append_new(names, json_string("file"));
        m = json_pack("{s:s, s:o}", "type", type, "fds", names);
        assert_int_equal(wire_send(sock, m, fds, n), 0);
        json_decref(m);
}

static void on_asked(int sock, const json_t *m, void *userdata) {
        const char *type = json_string_value(json_object_get(m, "type"));
        json_t *list = json_object_get(m, "list"), *item;
        struct objects *s = userdata;
        int fds[16];
        size_t i;

        if (g_str_equal(type, "outputs")) {
                size_t n = (size_t) json_integer_value(json_object_get(m, "n"));

                assert_true(n > 0 && n <= G_N_ELEMENTS(fds));
                for (i = 0; i < n; i++) {
                        fds[i] = memfd_create("object", MFD_CLOEXEC);
                        g_array_append_val(s->given, fds[i]);
                }
                answer(sock, "outputs", fds, n);
        } else if (g_str_equal(type, "object")) {
                g_hash_table_insert(s->by_hash, g_strdup(json_string_value(json_object_get(m, "hash"))),
                        GINT_TO_POINTER(g_array_index(s->given, int, s->told)));
                s->told++;
        } else if (g_str_equal(type, "objects")) {
                assert_true(json_array_size(list) > 0 && json_array_size(list) <= G_N_ELEMENTS(fds));
                json_array_foreach(list, i, item) {
                        const char *hash = json_string_value(json_object_get(item, "hash"));

                        assert_true(g_hash_table_contains(s->by_hash, hash));
                        fds[i] = GPOINTER_TO_INT(g_hash_table_lookup(s->by_hash, hash));
                }
                answer(sock, "objects", fds, json_array_size(list));
        } else
                fail_msg("the worker says %s", type);
}

static char *read_text(int fd) {
        char *text;
        size_t len;

        assert_int_equal(read_file(fd, 1U << 24, &text, &len), 0);
        assert_int_equal(strlen(text), len);
        return text;
}

/* A tar becomes objects and a manifest, whose descriptor is returned. */
static int ingest(struct objects *s, const char *script, char **ret_digest) {
        static const char *const names[] = {"source", "output", NULL};
        g_autoptr(GByteArray) tar = make_tar(script);
        int fds[] = {bytes_memfd(tar), memfd_create("manifest", MFD_CLOEXEC)};
        struct outcome o;

        assert_int_equal(lseek(fds[0], 0, SEEK_SET), 0);
        o = worker_run_asking(json_pack("{s:s, s:s, s:s, s:s}", "type", "launch", "op", "profile-ingest", "profile",
                                      "emulate-x86", "qemu_version", "9.1.0"),
                names, fds, on_asked, s);
        assert_done(&o);
        *ret_digest = g_strdup(text_of(&o, "digest"));
        outcome_clear(&o);
        (void) close_fd(fds[0]);
        return fds[1];
}

static struct outcome pack_profile(struct objects *s, int manifest, int archive) {
        static const char *const names[] = {"manifest", "archive", NULL};
        int fds[] = {manifest, archive};

        return worker_run_asking(
                json_pack("{s:s, s:s}", "type", "launch", "op", "profile-pack"), names, fds, on_asked, s);
}

static struct outcome unpack(struct objects *s, const char *profile, const char *digest, int archive, int output) {
        static const char *const names[] = {"source", "output", NULL};
        int fds[] = {archive, output};

        return worker_run_asking(json_pack("{s:s, s:s, s:s, s:s}", "type", "launch", "op", "profile-unpack", "profile",
                                         profile, "digest", digest),
                names, fds, on_asked, s);
}

static void test_there_and_back(void **state) {
        struct objects *here = objects_new(), *there = objects_new();
        g_autofree char *digest = NULL, *sum[2] = {};
        int manifest = ingest(here, BUILD, &digest), archive[2], back = memfd_create("back", MFD_CLOEXEC);
        g_autofree char *artifact = NULL;
        char *before, *after;
        struct outcome o;

        for (int i = 0; i < 2; i++) {
                char *text;
                size_t len;
                GByteArray bytes;

                archive[i] = memfd_create("archive", MFD_CLOEXEC);
                o = pack_profile(here, manifest, archive[i]);
                assert_done(&o);
                g_free(artifact);
                artifact = g_strdup(text_of(&o, "digest"));
                assert_string_equal(text_of(&o, "profile"), "emulate-x86");
                outcome_clear(&o);
                assert_int_equal(read_file(archive[i], 1U << 24, &text, &len), 0);
                bytes = (GByteArray){.data = (guint8 *) text, .len = (guint) len};
                sum[i] = sha256_of(&bytes);
                free(text);
        }
        assert_string_equal(sum[0], sum[1]); /* the same bytes, whoever makes them */
        g_free(sum[1]);

        o = unpack(there, "emulate-x86", artifact, archive[0], back);
        assert_done(&o);
        assert_string_equal(text_of(&o, "digest"), digest);
        assert_string_equal(text_of(&o, "qemu_version"), "9.1.0");
        outcome_clear(&o);
        before = read_text(manifest);
        after = read_text(back);
        assert_string_equal(before, after);
        assert_int_equal(g_hash_table_size(here->by_hash), 3); /* program, library, nothing */
        assert_int_equal(g_hash_table_size(there->by_hash), 3);
        o = unpack(there, "kvm-linux", artifact, archive[0], back);
        assert_failed(&o, FAILURE_PROFILE, "of profile \"emulate-x86\", not \"kvm-linux\"");
        outcome_clear(&o);
        o = unpack(there, "emulate-x86", digest, archive[0], back);
        assert_failed(&o, FAILURE_SPEC, "digest");
        outcome_clear(&o);
        free(before);
        free(after);
        (void) close_fd(manifest);
        (void) close_fd(archive[0]);
        (void) close_fd(archive[1]);
        (void) close_fd(back);
        objects_free(here);
        objects_free(there);
}

static void test_damaged_object(void **state) {
        struct objects *s = objects_new();
        g_autofree char *digest = NULL;
        int manifest = ingest(s, BUILD, &digest), archive = memfd_create("archive", MFD_CLOEXEC);
        struct outcome o;

        for (guint i = 0; i < s->told; i++)
                assert_int_equal(pwrite(g_array_index(s->given, int, i), "X", 1, 0), 1);
        o = pack_profile(s, manifest, archive);
        assert_failed(&o, FAILURE_PROFILE, "is damaged: its bytes have another hash");
        outcome_clear(&o);
        for (guint i = 0; i < s->told; i++)
                g_array_index(s->given, int, i) = close_fd(g_array_index(s->given, int, i));
        (void) close_fd(manifest);
        (void) close_fd(archive);
        objects_free(s);
}

/* ---- Artifacts of strangers ---- */

struct parts {
        const char *script, *config; /* config NULL: an empty one */
        enum packing packing;
        bool damage, cut; /* the layer has other bytes than its digest says; is not whole */
};

static int make_artifact(const struct parts *p, char **ret_digest) {
        static const char *const suffix[] = {[PLAIN] = "", [GZIP] = "+gzip", [ZSTD] = "+zstd"};
        g_autofree char *type = g_strconcat(ARTIFACT_PROFILE_LAYER, suffix[p->packing], NULL);
        g_autoptr(GByteArray) tar = make_tar(p->script), layer = pack(tar, p->packing), whole = NULL;
        g_autofree char *config = NULL, *blob = NULL, *text = NULL, *descriptor = NULL;
        maker *m = maker_new();
        int fd;

        if (p->cut)
                g_byte_array_set_size(layer, layer->len / 2);
        config = maker_add_text_blob(m, p->config ?: "{}", p->config ? ARTIFACT_PROFILE_CONFIG : EMPTY_TYPE);
        if (p->damage) {
                g_autofree char *digest = sha256_of(layer), *name = g_strconcat("blobs/sha256/", digest + 7, NULL);

                blob = g_strdup_printf(
                        "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%u}", type, digest, layer->len);
                layer->data[layer->len - 1] ^= 1;
                maker_add(m, name, layer->data, layer->len);
        } else
                blob = maker_add_blob(m, layer, type);
        text = g_strdup_printf("{\"schemaVersion\":2,\"artifactType\":\"" ARTIFACT_PROFILE
                               "\",\"config\":%s,\"layers\":[%s]}",
                config, blob);
        descriptor = maker_add_text_blob(m, text, MANIFEST_TYPE);
        *ret_digest = g_strndup(strstr(descriptor, "sha256:"), 71);
        maker_add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        whole = maker_end(m);
        fd = bytes_memfd(whole);
        return fd;
}

static struct outcome take(const struct parts *p) {
        struct objects *s = objects_new();
        g_autofree char *digest = NULL;
        int archive = make_artifact(p, &digest), output = memfd_create("output", MFD_CLOEXEC);
        struct outcome o = unpack(s, "emulate-x86", digest, archive, output);

        (void) close_fd(archive);
        (void) close_fd(output);
        objects_free(s);
        return o;
}

static void refuse(const struct parts *p, const char *error, const char *text) {
        struct outcome o = take(p);

        assert_failed(&o, error, text);
        outcome_clear(&o);
}

static void test_without_manifest(void **state) {
        for (enum packing packing = PLAIN; packing <= ZSTD; packing++) {
                struct outcome o = take(&(struct parts){.script = BUILD, .packing = packing});

                assert_done(&o);
                assert_int_equal(json_integer_value(json_object_get(o.last, "objects")), 5);
                outcome_clear(&o);
        }
}

static void test_strange_layers(void **state) {
        refuse(&(struct parts){.script = BUILD, .damage = true}, FAILURE_DIGEST, "has the digest");
        refuse(&(struct parts){.script = BUILD, .packing = GZIP, .cut = true}, FAILURE_UNSUPPORTED, "damaged");
        refuse(&(struct parts){.script = "f lib/x y\n"}, FAILURE_PROFILE, "binaries are missing");
        refuse(&(struct parts){.script = BUILD "f ../x y\n"}, FAILURE_UNSUPPORTED, "..");
        refuse(&(struct parts){.script = BUILD "p lib/pipe\n"}, FAILURE_UNSUPPORTED, "lib/pipe");
        refuse(&(struct parts){.script = BUILD "l lib/x /etc/passwd\n"}, FAILURE_UNSUPPORTED, "etc/passwd");
        refuse(&(struct parts){.script = BUILD "f bin/qemu-system-x86_64 again\n"}, FAILURE_PROFILE, "twice");
}

#define PROGRAM "\"bin/qemu-system-x86_64\":\"%s\""
#define HEAD "{\"profile\":\"emulate-x86\",\"created_at\":\"2026-05-01T10:00:00Z\",\"objects\":{"

static char *hash_of(const char *text) {
        return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

static void test_manifests_that_lie(void **state) {
        const char *script = "f bin/qemu-system-x86_64 program\nf lib/x y\n";
        g_autofree char *program = hash_of("program"), *y = hash_of("y");
        g_autofree char *right = g_strdup_printf(HEAD PROGRAM ",\"lib/x\":\"%s\"}}", program, y),
                        *other = g_strdup_printf(HEAD PROGRAM ",\"lib/x\":\"%s\"}}", program, program),
                        *less = g_strdup_printf(HEAD PROGRAM "}}", program),
                        *more = g_strdup_printf(HEAD PROGRAM ",\"lib/x\":\"%s\",\"lib/z\":\"%s\"}}", program, y, y),
                        *path = g_strdup_printf(HEAD PROGRAM ",\"lib/w\":\"%s\"}}", program, y),
                        *out = g_strdup_printf(HEAD PROGRAM ",\"../x\":\"%s\"}}", program, y);
        struct outcome o = take(&(struct parts){.script = script, .config = right});

        assert_done(&o);
        outcome_clear(&o);
        refuse(&(struct parts){.script = script, .config = other}, FAILURE_PROFILE, "lib/x");
        refuse(&(struct parts){.script = script, .config = less}, FAILURE_PROFILE, "does not name: \"lib/x\"");
        refuse(&(struct parts){.script = script, .config = more}, FAILURE_PROFILE, "lib/z");
        refuse(&(struct parts){.script = script, .config = path}, FAILURE_PROFILE, "lib/w");
        refuse(&(struct parts){.script = script, .config = out}, FAILURE_PROFILE, "../x");
        refuse(&(struct parts){.script = script, .config = "{}"}, FAILURE_PROFILE, "manifest");
        refuse(&(struct parts){.script = script, .config = "qemu"}, FAILURE_PROFILE, "manifest");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_there_and_back),
                cmocka_unit_test(test_damaged_object),
                cmocka_unit_test(test_without_manifest),
                cmocka_unit_test(test_strange_layers),
                cmocka_unit_test(test_manifests_that_lie),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
