/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Imports through the real worker, read back from the image. */
#include "unit.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-maker.h"
#include "image-list.h"
#include "shared/fd.h"
#include "worker-run.h"

#define BUSYBOX "/bin/busybox"
#define OCI_LAYER "application/vnd.oci.image.layer.v1.tar"

static GByteArray *bytes(const void *data, size_t len) {
        return g_byte_array_append(g_byte_array_new(), data, (guint) len);
}

/* Imports and compares the listing. */
static void check_image(GByteArray *source, const char *expected) {
        struct outcome o = import_bytes(source, NULL);
        g_autofree char *list = NULL;

        assert_done(&o);
        list = image_list(o.output);
        assert_string_equal(list, expected);
        g_byte_array_unref(source);
        outcome_clear(&o);
}

static void check_refused(GByteArray *source, json_t *limits, const char *error, const char *text) {
        struct outcome o = import_bytes(source, limits);

        assert_failed(&o, error, text);
        g_byte_array_unref(source);
        outcome_clear(&o);
}

static void test_elf(void **state) {
        _cleanup_close_ int fd = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
        g_autofree char *list = NULL;
        struct outcome o;
        struct stat st;

        if (fd < 0)
                skip();
        o = import_fd(fd, json_pack("{s:s}", "name", "box"));
        assert_done(&o);
        assert_string_equal(text_of(&o, "kind"), "elf");
        assert_string_equal(text_of(&o, "architecture"), "x86_64");
        assert_int_equal(strlen(text_of(&o, "digest")), 71);
        assert_int_equal(fstat(o.output, &st), 0);
        assert_int_equal(json_integer_value(json_object_get(o.last, "size")), st.st_size);
        assert_int_equal(st.st_size % 4096, 0);
        assert_string_equal(
                json_string_value(json_array_get(json_object_get(json_object_get(o.last, "config"), "entrypoint"), 0)),
                "/usr/local/bin/box");
        list = image_list(o.output);
        assert_non_null(strstr(list, "/usr/local/bin/box 100755 0:0 1 0 "));
        assert_non_null(strstr(list, "\n/tmp 41777 0:0 2 0 \n"));
        assert_non_null(strstr(list, "\n/etc/passwd 100644 0:0 1 0 "));
        outcome_clear(&o);
        o = import_fd(fd, json_pack("{s:s}", "name", "../box"));
        assert_failed(&o, "InvalidSpec", "name must be");
        outcome_clear(&o);
        o = import_fd(fd, json_pack("{s:s}", "architecture", "aarch64"));
        assert_failed(&o, "UnsupportedImage", "it is for x86_64 (machine 62), this image is for aarch64");
        outcome_clear(&o);
}

static void test_dynamic_elf(void **state) {
        _cleanup_close_ int fd = open("/bin/ls", O_RDONLY | O_CLOEXEC);
        struct outcome o;

        o = import_fd(fd, NULL);
        assert_failed(&o, "UnsupportedImage", "libc.so.6");
        assert_failed(&o, "UnsupportedImage", "interpreter /lib");
        outcome_clear(&o);
}

static void test_strangers(void **state) {
        g_autoptr(GByteArray) nothing = bytes("", 0), zip = bytes("PK\3\4zip", 7);
        g_autoptr(GByteArray) tar = make_tar("f hello world\n");

        check_refused(bytes("", 0), NULL, "UnsupportedImage", "the source is empty; accepted are a static ELF program");
        check_refused(bytes("#!/bin/sh\n", 10), NULL, "UnsupportedImage", "a script, which needs its interpreter");
        check_refused(bytes("what is this", 12), NULL, "UnsupportedImage", "the source is neither");
        check_refused(pack(nothing, GZIP), NULL, "UnsupportedImage", "a compressed empty file");
        check_refused(bytes("\x1f\x8bnot really", 12), NULL, "UnsupportedImage", "the compressed image is damaged");
        check_refused(pack(zip, GZIP), NULL, "UnsupportedImage", "a zip archive");
        check_refused(g_byte_array_ref(tar), NULL, "UnsupportedImage", "a tar without oci-layout");
        check_refused(bytes("\177ELF", 4), NULL, "UnsupportedImage", "ends inside the ELF header");
}

#define EVERYTHING                                                                                                     \
        "d bin\nf bin/sh shell\nh bin/ash bin/sh\nl lib usr/lib\np fifo\nc console\ns special\nz sparse\nf empty \n"
#define EVERYTHING_LIST                                                                                                \
        "/ 40755 0:0 3 0 \n/bin 40755 0:0 2 7 \n/bin/ash 100644 0:0 2 7 =shell\n/bin/sh 100644 0:0 2 7 =shell\n"       \
        "/console 20600 0:0 1 7 5:1\n/empty 100644 0:0 1 7 =\n/fifo 10600 0:0 1 7 \n/lib 120777 0:0 1 7 >usr/lib\n"    \
        "/sparse 100644 0:0 1 7 1048576 bytes\n"                                                                       \
        "/special 104755 12:34 1 99 =sui security.capability=cap user.color=blue\n"

static void test_oci(void **state) {
        g_autoptr(GByteArray) tar = make_tar(EVERYTHING);
        static const char *const types[] = {OCI_LAYER, OCI_LAYER "+gzip", OCI_LAYER "+zstd"};

        for (unsigned i = PLAIN; i <= ZSTD; i++) {
                g_autoptr(GByteArray) layer = pack(tar, i);
                const GByteArray *const layers[] = {layer, NULL};

                check_image(make_oci(&(struct oci_parts){.layers = layers, .layer_type = types[i]}), EVERYTHING_LIST);
        }
}

static void test_oci_answer(void **state) {
        g_autoptr(GByteArray) source = make_oci_simple("f a b\n");
        struct outcome o = import_bytes(source, NULL);

        assert_done(&o);
        assert_string_equal(text_of(&o, "kind"), "oci");
        assert_int_equal(json_array_size(json_object_get(o.last, "layers")), 1);
        assert_string_equal(text_of(&o, "digest"), o.digest); /* told before anything was unpacked */
        assert_int_equal(strlen(text_of(&o, "config_digest")), strlen("sha256:") + 64);
        assert_string_equal(
                json_string_value(json_array_get(json_object_get(json_object_get(o.last, "config"), "ports"), 0)),
                "80/tcp");
        outcome_clear(&o);
}

static void test_same_bytes_twice(void **state) {
        g_autoptr(GByteArray) source = make_oci_simple(EVERYTHING);
        g_autofree char *first = NULL;
        g_autofree char *second = NULL;
        size_t n, m;

        for (unsigned i = 0; i < 2; i++) {
                struct outcome o = import_bytes(source, NULL);

                assert_done(&o);
                assert_int_equal(read_file(o.output, 1 << 20, i ? &second : &first, i ? &m : &n), 0);
                outcome_clear(&o);
        }
        assert_int_equal(n, m);
        assert_memory_equal(first, second, n);
}

static void test_layers(void **state) {
        g_autoptr(GByteArray) low =
                make_tar("d etc\nf etc/a low\nf etc/b low\nd old\nf old/x low\nd opq\nf opq/x low\n");
        g_autoptr(GByteArray) top =
                make_tar("f etc/a top\nf etc/.wh.b \nf .wh.old \nd opq\nf opq/.wh..wh..opq \nf opq/y top\n"
                         "f .wh..wh.plnk x\n");
        const GByteArray *const layers[] = {low, top, NULL};

        check_image(make_oci(&(struct oci_parts){.layers = layers}),
                "/ 40755 0:0 4 0 \n/etc 40755 0:0 2 7 \n/etc/a 100644 0:0 1 7 =top\n/opq 40755 0:0 2 7 \n/opq/y 100644 "
                "0:0 1 7 "
                "=top\n");
}

/* The target of a hard link is hidden by a higher layer, so its data was passed over when it came by. */
static void test_hidden_link_target(void **state) {
        g_autoptr(GByteArray) low = make_tar("f a low\nh b a\n");
        g_autoptr(GByteArray) top = make_tar("f a top\n");
        const GByteArray *const layers[] = {low, top, NULL};

        check_image(make_oci(&(struct oci_parts){.layers = layers}),
                "/ 40755 0:0 2 0 \n/a 100644 0:0 1 7 =top\n/b 100644 0:0 1 7 =low\n");
}

/* A hard link of an upper layer to a file of a lower one: one file, two names; the file a link stands for stays when a
 * higher layer takes its name. */
static void test_links_across_layers(void **state) {
        g_autoptr(GByteArray) low = make_tar("d d\nf d/a low\n");
        g_autoptr(GByteArray) middle = make_tar("h b d/a\n");
        g_autoptr(GByteArray) top = make_tar("f d/a top\n");
        const GByteArray *const two[] = {low, middle, NULL}, *const three[] = {low, middle, top, NULL};

        check_image(make_oci(&(struct oci_parts){.layers = two}),
                "/ 40755 0:0 3 0 \n/b 100644 0:0 2 7 =low\n/d 40755 0:0 2 7 \n/d/a 100644 0:0 2 7 =low\n");
        check_image(make_oci(&(struct oci_parts){.layers = three}),
                "/ 40755 0:0 3 0 \n/b 100644 0:0 1 7 =low\n/d 40755 0:0 2 7 \n/d/a 100644 0:0 1 7 =top\n");
}

static void test_long_names(void **state) {
        g_autofree char *name = g_strnfill(255, 'n');
        g_autofree char *script = g_strdup_printf("f d/%s \xc3\xa4\nf %s1 x\n", name, name);
        g_autofree char *good = g_strdup_printf("f d/%s \xc3\xa4\n", name);
        g_autofree char *list =
                g_strdup_printf("/ 40755 0:0 3 0 \n/d 40755 0:0 2 0 \n/d/%s 100644 0:0 1 7 =\xc3\xa4\n", name);

        check_image(make_oci_simple(good), list);
        check_refused(make_oci_simple(script), NULL, "LimitExceeded", "longer than 255 bytes");
        check_image(make_oci_simple("f gr\xc3\xbc\xc3\x9f"
                                    "e x\n"),
                "/ 40755 0:0 2 0 \n/gr\xc3\xbc\xc3\x9f"
                "e 100644 0:0 1 7 =x\n");
}

static void test_pipe(void **state) {
        g_autoptr(GByteArray) source = make_oci_simple("f a b\n");
        g_autoptr(GByteArray) packed = pack(source, XZ);
        int fds[2];
        struct outcome o;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(write_all(fds[1], packed->data, packed->len), 0);
        (void) close_fd(fds[1]);
        o = import_fd(fds[0], NULL);
        assert_done(&o);
        outcome_clear(&o);
        (void) close_fd(fds[0]);
}

static void test_docker(void **state) {
        g_autoptr(GByteArray) tar = make_tar(EVERYTHING);
        g_autoptr(GByteArray) packed = pack(tar, GZIP);
        g_autoptr(GByteArray) source = make_docker(tar, tar, false);
        struct outcome o;

        check_image(make_docker(tar, tar, false), EVERYTHING_LIST);
        check_image(make_docker(packed, tar, false), EVERYTHING_LIST);
        check_image(pack(source, GZIP), EVERYTHING_LIST);
        check_refused(make_docker(tar, tar, true), NULL, "DigestMismatch", "layer sha256:");
        check_refused(make_docker(packed, tar, true), NULL, "DigestMismatch", "layer sha256:");
        o = import_bytes(source, NULL);
        assert_done(&o);
        assert_string_equal(text_of(&o, "kind"), "docker");
        assert_string_equal(text_of(&o, "name"), "web:1");
        outcome_clear(&o);
}

static void test_path(void **state) {
        g_autofree char *dir = g_dir_make_tmp("roots-XXXXXX", NULL);
        g_autofree char *file = g_build_filename(dir, "image.tar", NULL);
        g_autofree char *link = g_build_filename(dir, "link", NULL);
        g_autofree char *sub = g_build_filename(dir, "sub", NULL);
        g_autoptr(GByteArray) source = make_oci_simple("f a b\n");
        struct outcome o;

        assert_true(g_file_set_contents(file, (const char *) source->data, source->len, NULL));
        assert_int_equal(symlink("/etc/passwd", link), 0);
        assert_int_equal(mkdir(sub, 0700), 0);
        o = import_fd(-1, json_pack("{s:s, s:[s, s]}", "path", file, "roots", "/nowhere", dir));
        assert_done(&o);
        outcome_clear(&o);
        o = import_fd(-1, json_pack("{s:s, s:[s, s]}", "path", "/etc/passwd", "roots", "/nowhere", dir));
        assert_failed(&o, "InvalidSpec", "not beneath an allowed root (/nowhere, /tmp/roots-");
        outcome_clear(&o);
        o = import_fd(-1, json_pack("{s:s, s:[s]}", "path", link, "roots", dir));
        assert_failed(&o, "InvalidSpec", "the allowed roots");
        outcome_clear(&o);
        o = import_fd(-1, json_pack("{s:s, s:[s]}", "path", sub, "roots", dir));
        assert_failed(&o, "UnsupportedImage", "is not a regular file");
        outcome_clear(&o);
        o = import_fd(-1, json_pack("{s:s}", "path", file));
        assert_failed(&o, "InvalidSpec", "none is allowed");
        outcome_clear(&o);
        (void) unlink(link);
        (void) rmdir(sub);
        (void) unlink(file);
        (void) rmdir(dir);
}

static void test_platforms(void **state) {
        g_autoptr(GByteArray) layer = make_tar("f a b\n");
        const GByteArray *const layers[] = {layer, NULL};

        check_refused(make_oci(&(struct oci_parts){
                              .layers = layers, .config = "{\"architecture\":\"arm64\",\"os\":\"linux\"}"}),
                NULL, "UnsupportedImage", "the image is for linux/arm64, not for linux/amd64");
        check_refused(make_oci(&(struct oci_parts){.layers = layers, .config = "{\"os\":\"windows\"}"}), NULL,
                "UnsupportedImage", "windows");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_elf),
                cmocka_unit_test(test_dynamic_elf),
                cmocka_unit_test(test_strangers),
                cmocka_unit_test(test_oci),
                cmocka_unit_test(test_oci_answer),
                cmocka_unit_test(test_same_bytes_twice),
                cmocka_unit_test(test_layers),
                cmocka_unit_test(test_hidden_link_target),
                cmocka_unit_test(test_links_across_layers),
                cmocka_unit_test(test_long_names),
                cmocka_unit_test(test_pipe),
                cmocka_unit_test(test_docker),
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_platforms),
        };

        setlocale(LC_CTYPE, "C.UTF-8");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
