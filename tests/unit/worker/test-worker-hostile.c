/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives and jobs that mean harm, through the real worker. */
#include "unit.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive-maker.h"
#include "image-list.h"
#include "shared/fd.h"
#include "worker-run.h"

#define WRONG "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define MIB (1024U * 1024U)

static void check_refused(GByteArray *source, json_t *limits, const char *error, const char *text) {
        struct outcome o = import_bytes(source, limits);

        assert_failed(&o, error, text);
        g_byte_array_unref(source);
        outcome_clear(&o);
}

static void check_image(GByteArray *source, const char *expected) {
        struct outcome o = import_bytes(source, NULL);
        g_autofree char *list = NULL;

        assert_done(&o);
        list = image_list(o.output);
        assert_string_equal(list, expected);
        g_byte_array_unref(source);
        outcome_clear(&o);
}

static void test_names(void **state) {
        check_refused(make_oci_simple("f ../evil x\n"), NULL, "UnsupportedImage", "\"../evil\" leads out of the image");
        check_refused(make_oci_simple("f a/../../evil x\n"), NULL, "UnsupportedImage", "leads out of the image");
        check_refused(make_oci_simple("h evil ../../etc/shadow\n"), NULL, "UnsupportedImage", "hard link target");
        check_refused(make_oci_simple("f .wh... x\n"), NULL, "UnsupportedImage", "a whiteout of no name");
        check_refused(make_oci_simple("f .wh. x\n"), NULL, "UnsupportedImage", "a whiteout of no name");
        check_refused(make_oci_simple("h evil /etc/shadow\n"), NULL, "UnsupportedImage", "\"evil\" has no target");
        /* An absolute name is one below the root of the image. */
        check_image(make_oci_simple("f /etc/evil x\n"),
                "/ 40755 0:0 3 0 \n/etc 40755 0:0 2 0 \n/etc/evil 100644 0:0 1 7 =x\n");
}

static void test_through_links(void **state) {
        check_image(make_oci_simple("l out /etc\nf out/evil x\n"),
                "/ 40755 0:0 3 0 \n/etc 40755 0:0 2 0 \n/etc/evil 100644 0:0 1 7 =x\n/out 120777 0:0 1 7 >/etc\n");
        check_image(make_oci_simple("l out ../../../../etc\nf out/evil x\n"),
                "/ 40755 0:0 3 0 \n/etc 40755 0:0 2 0 \n/etc/evil 100644 0:0 1 7 =x\n/out 120777 0:0 1 7 "
                ">../../../../etc\n");
        check_refused(make_oci_simple("l a b\nl b a\nf a/x x\n"), NULL, "UnsupportedImage", "leads to no directory");
        check_refused(make_oci_simple("f a x\nf a/x x\n"), NULL, "UnsupportedImage", "is a file in the same layer");
}

static void test_cut_off(void **state) {
        g_autoptr(GByteArray) whole = make_oci_simple("f a hello\n");
        static const guint cuts[] = {1, 100, 511, 600, 1000, 1600, 2000, 2600, 3600};

        for (size_t i = 0; i < G_N_ELEMENTS(cuts); i++) {
                GByteArray *part = g_byte_array_append(g_byte_array_new(), whole->data, cuts[i]);

                check_refused(part, NULL, "UnsupportedImage", "");
        }
}

/* A layer whose tar ends inside a file, under its right digest. */
static void test_layer_cut_off(void **state) {
        g_autoptr(GByteArray) tar = make_tar("f a hello\n");
        const GByteArray *const layers[] = {tar, NULL};

        g_byte_array_set_size(tar, 512 + 3);
        check_refused(make_oci(&(struct oci_parts){.layers = layers}), NULL, "UnsupportedImage", "cut off inside");
        /* Without its padding and end marks it is still whole. */
        g_byte_array_set_size(tar, 512 + 5);
        check_image(make_oci(&(struct oci_parts){.layers = layers}), "/ 40755 0:0 2 0 \n/a 100644 0:0 1 7 =hello\n");
}

static void test_layer_is_no_tar(void **state) {
        g_autoptr(GByteArray) tar = g_byte_array_append(g_byte_array_new(), (const guint8 *) "hello, I am no tar", 18);
        g_autoptr(GByteArray) xz = pack(tar, XZ);
        const GByteArray *const layers[] = {tar, NULL}, *const xz_layers[] = {xz, NULL};

        check_refused(make_oci(&(struct oci_parts){.layers = layers}), NULL, "UnsupportedImage", "a layer is no tar");
        check_refused(
                make_oci(&(struct oci_parts){.layers = xz_layers}), NULL, "UnsupportedImage", "a layer is no tar");
        check_refused(make_oci(&(struct oci_parts){.layers = layers, .layer_type = "text/plain"}), NULL,
                "UnsupportedImage", "media type \"text/plain\"");
}

static void test_digests(void **state) {
        g_autoptr(GByteArray) tar = make_tar("f a hello\n");
        g_autoptr(GByteArray) packed = pack(tar, GZIP);
        const GByteArray *const layers[] = {tar, NULL}, *const packed_layers[] = {packed, NULL};

        check_refused(make_oci(&(struct oci_parts){.layers = layers, .damage_layer = true}), NULL, "DigestMismatch",
                "has the digest");
        check_refused(make_oci(&(struct oci_parts){.layers = packed_layers, .damage_layer = true}), NULL,
                "DigestMismatch", "has the digest");
        check_refused(make_oci(&(struct oci_parts){.layers = layers, .manifest_digest = WRONG}), NULL,
                "UnsupportedImage", "the archive has no file \"blobs/sha256/000000");
}

static void test_bomb(void **state) {
        g_autoptr(GByteArray) zeros = g_byte_array_new();
        g_autoptr(GByteArray) tar = NULL;
        g_autoptr(GByteArray) packed = NULL;
        maker *m = maker_new();

        g_byte_array_set_size(zeros, 64 * MIB);
        memset(zeros->data, 0, zeros->len);
        maker_add(m, "zeros", zeros->data, zeros->len);
        tar = maker_end(m);
        packed = pack(tar, GZIP);
        {
                const GByteArray *const layers[] = {packed, NULL};

                check_refused(make_oci(&(struct oci_parts){.layers = layers}),
                        json_pack("{s:i}", "bytes", 64 * MIB - 1), "LimitExceeded",
                        "more than 67108863 bytes (limit \"bytes\")");
        }
        /* The archive itself. */
        check_refused(pack(zeros, GZIP), json_pack("{s:i}", "bytes", MIB), "LimitExceeded", "(limit \"bytes\")");
}

static void test_entries(void **state) {
        check_image(make_oci_simple("f a x\n"), "/ 40755 0:0 2 0 \n/a 100644 0:0 1 7 =x\n");
        check_refused(make_oci_simple("f a x\nf b x\nf c x\nf d x\nf e x\nf f x\nf g x\n"),
                json_pack("{s:i}", "entries", 6), "LimitExceeded", "(limit \"entries\")");
        /* Names that no entry describes count as well. */
        check_refused(make_oci_simple("f a/b/c/d/e/f/g x\n"), json_pack("{s:i}", "entries", 6), "LimitExceeded",
                "more than 6 names");
        check_refused(
                make_oci_simple("f a/b/c/d x\n"), json_pack("{s:i}", "depth", 3), "LimitExceeded", "(limit \"depth\")");
}

/* What an image just needs it gets, and one less is refused by the limit's name. */
static void check_edge(const char *script, unsigned n_layers, const char *limit, unsigned needed) {
        g_autofree char *named = g_strdup_printf("(limit \"%s\")", limit);
        g_autoptr(GByteArray) tar = make_tar(script);
        const GByteArray *layers[4] = {};
        g_autoptr(GByteArray) archive = NULL;
        struct outcome o;

        for (unsigned i = 0; i < n_layers; i++)
                layers[i] = tar;
        archive = make_oci(&(struct oci_parts){.layers = layers});
        o = import_bytes(archive, json_pack("{s:i}", limit, needed));
        assert_done(&o);
        outcome_clear(&o);
        o = import_bytes(archive, json_pack("{s:i}", limit, needed - 1));
        assert_failed(&o, "LimitExceeded", named);
        outcome_clear(&o);
}

static void test_edges(void **state) {
        unsigned low = 1, high = 4096;

        check_edge("f a 1234567890\n", 1, "bytes", 10);
        check_edge("d 1\nd 2\nd 3\nd 4\nd 5\nd 6\nd 7\nd 8\nd 9\nd a\nd b\nd c\n", 1, "entries", 13); /* the root is one */
        check_edge("f a x\n", 3, "layers", 3);
        check_edge("f a/b/c x\n", 1, "depth", 3);
        /* The archive's own names count as well, and those of blobs have 64 bytes. */
        check_edge("f 123456789-123456789-123456789-123456789-123456789-123456789-123456789- x\n", 1, "name", 70);
        /* The largest of the documents decides; its size is the archive maker's. */
        while (low < high) {
                unsigned middle = (low + high) / 2;
                g_autoptr(GByteArray) archive = make_oci_simple("f a x\n");
                struct outcome o = import_bytes(archive, json_pack("{s:i}", "manifest", middle));

                if (g_str_equal(text_of(&o, "type"), "done"))
                        high = middle;
                else
                        low = middle + 1;
                outcome_clear(&o);
        }
        assert_true(low > 100 && low < 4096);
        check_edge("f a x\n", 1, "manifest", low);
}

static void test_many_layers(void **state) {
        g_autoptr(GByteArray) tar = make_tar("f a x\n");
        g_autofree const GByteArray **layers = g_new0(const GByteArray *, 10001);

        for (unsigned i = 0; i < 10000; i++)
                layers[i] = tar;
        check_refused(make_oci(&(struct oci_parts){.layers = layers}), NULL, "LimitExceeded",
                "10000 layers, more than 256 (limit \"layers\")");
}

static void test_large_manifest(void **state) {
        g_autofree char *spaces = g_strnfill(100 * MIB, ' ');
        maker *m = maker_new();

        maker_add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        maker_add_text(m, "index.json", spaces);
        check_refused(maker_end(m), NULL, "LimitExceeded", "\"index.json\" has 104857600 bytes, more than 4194304");
}

static void test_deep_json(void **state) {
        g_autofree char *brackets = g_strnfill(MIB, '[');
        maker *m = maker_new();

        maker_add_text(m, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
        maker_add_text(m, "index.json", brackets);
        check_refused(maker_end(m), NULL, "UnsupportedImage", "is no JSON");
}

/* Fills whole blocks of the attribute table, where libsquashfs 1.2 would write behind its array: glibc's checking
 * malloc sees that. */
static void test_attribute_sets(void **state) {
        g_autoptr(GString) script = g_string_new(NULL);
        struct outcome o;
        GByteArray *source;
        struct stat st;

        for (unsigned i = 0; i < 512; i++)
                g_string_append_printf(script, "x f%u %u\n", i, i);
        source = make_oci_simple(script->str);
#if !defined(WITH_ADDRESS_SANITIZER)
        setenv("LD_PRELOAD", "libc_malloc_debug.so.0", 1);
        setenv("MALLOC_CHECK_", "3", 1);
#endif
        o = import_bytes(source, NULL);
        unsetenv("LD_PRELOAD");
        unsetenv("MALLOC_CHECK_");
        assert_done(&o);
        assert_int_equal(fstat(o.output, &st), 0);
        g_free(image_list(o.output));
        g_byte_array_unref(source);
        outcome_clear(&o);
}

static void test_no_space(void **state) {
        static const char *const names[] = {"source", "output", NULL};
        g_autoptr(GByteArray) noise = g_byte_array_new();
        g_autoptr(GByteArray) source = NULL;
        g_autoptr(GByteArray) tar = NULL;
        maker *m = maker_new();
        int fds[2];
        struct outcome o;

        g_byte_array_set_size(noise, 4 * MIB);
        for (guint i = 0; i < noise->len; i++)
                noise->data[i] = (guint8) g_random_int();
        maker_add(m, "noise", noise->data, noise->len);
        tar = maker_end(m);
        {
                const GByteArray *const layers[] = {tar, NULL};

                source = make_oci(&(struct oci_parts){.layers = layers});
        }
        fds[0] = bytes_memfd(source);
        fds[1] = memfd_create("output", MFD_CLOEXEC);
        o = worker_run(json_pack("{s:s, s:s, s:s}", "type", "launch", "op", "import", "architecture", "x86_64"), names,
                fds, MIB);
        assert_failed(&o, "NoSpace", "writing the image");
        outcome_clear(&o);
        (void) close_fd(fds[0]);
        (void) close_fd(fds[1]);
}

static void check_job(json_t *launch, const char *const *names, const int *fds, const char *error, const char *text) {
        struct outcome o;

        json_object_set_new(launch, "type", json_string("launch"));
        o = worker_run(launch, names, fds, 0);
        assert_failed(&o, error, text);
        outcome_clear(&o);
}

static void test_bad_jobs(void **state) {
        static const char *const none[] = {NULL}, *const output[] = {"output", NULL};
        _cleanup_close_ int fd = memfd_create("output", MFD_CLOEXEC);

        check_job(json_object(), none, NULL, "InvalidSpec", "op \"\" is unknown; known are import, initrd, hash");
        check_job(json_pack("{s:s}", "op", "frobnicate"), none, NULL, "InvalidSpec", "op \"frobnicate\" is unknown");
        check_job(json_pack("{s:s}", "op", "hash"), none, NULL, "InvalidSpec", "no descriptor \"file\"");
        check_job(json_pack("{s:s}", "op", "initrd"), none, NULL, "InvalidSpec", "no descriptor \"guest-init\"");
        check_job(json_pack("{s:s}", "op", "import"), none, NULL, "InvalidSpec", "no descriptor \"output\"");
        check_job(json_pack("{s:s}", "op", "import"), output, &fd, "InvalidSpec", "architecture \"\" is not known");
        check_job(json_pack("{s:s, s:s}", "op", "import", "architecture", "x86_64"), output, &fd, "InvalidSpec",
                "neither a source descriptor nor a path");
        check_job(json_pack("{s:s, s:s, s:{s:s}}", "op", "import", "architecture", "x86_64", "limits", "bytes", "many"),
                output, &fd, "InvalidSpec", "limits.bytes must be an integer");
        assert_int_equal(write(fd, "x", 1), 1);
        check_job(json_pack("{s:s, s:s}", "op", "import", "architecture", "x86_64"), output, &fd, "InvalidSpec",
                "the output must be an empty regular file");
}

static void test_goodbye(void **state) {
        static const char *const none[] = {NULL};
        struct outcome o = worker_run(json_pack("{s:s}", "type", "goodbye"), none, NULL, 0);

        assert_int_equal(o.status, 0);
        assert_null(o.last);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_through_links),
                cmocka_unit_test(test_cut_off),
                cmocka_unit_test(test_layer_cut_off),
                cmocka_unit_test(test_layer_is_no_tar),
                cmocka_unit_test(test_digests),
                cmocka_unit_test(test_bomb),
                cmocka_unit_test(test_entries),
                cmocka_unit_test(test_edges),
                cmocka_unit_test(test_many_layers),
                cmocka_unit_test(test_large_manifest),
                cmocka_unit_test(test_deep_json),
                cmocka_unit_test(test_attribute_sets),
                cmocka_unit_test(test_no_space),
                cmocka_unit_test(test_bad_jobs),
                cmocka_unit_test(test_goodbye),
        };

        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
