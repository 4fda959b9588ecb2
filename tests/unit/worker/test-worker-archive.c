/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The archive that is kept of each image: the same for the same content, and the same image when it is imported. */
#include "unit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-maker.h"
#include "image-list.h"
#include "shared/fd.h"
#include "worker-run.h"

#define BUSYBOX "/bin/busybox"
#define SCRIPT "d bin\nf bin/sh shell\nl lib usr/lib\nf empty \n"

struct kept {
        char *digest, *list;
        int archive;
};

static struct kept import_kept(int source) {
        static const char *const names[] = {"source", "output", "archive", NULL};
        int fds[] = {source, memfd_create("output", MFD_CLOEXEC), memfd_create("archive", MFD_CLOEXEC)};
        json_t *launch = json_pack(
                "{s:s, s:s, s:s, s:s}", "type", "launch", "op", "import", "architecture", "x86_64", "name", "box");
        struct outcome o = worker_run(launch, names, fds, 0);
        struct kept k = {.archive = fds[2]};

        assert_done(&o);
        o.output = fds[1];
        assert_string_equal(o.digest, text_of(&o, "digest"));
        k.digest = g_strdup(text_of(&o, "digest"));
        k.list = image_list(o.output);
        outcome_clear(&o);
        return k;
}

static void kept_clear(struct kept *k) {
        g_free(k->digest);
        g_free(k->list);
        (void) close_fd(k->archive);
}

static void assert_same_bytes(int a, int b) {
        char x[65536], y[65536];
        off_t at = 0;
        ssize_t n;

        do {
                n = pread(a, x, sizeof x, at);
                assert_int_equal(pread(b, y, sizeof y, at), n);
                assert_memory_equal(x, y, (size_t) MAX(n, 0));
                at += n;
        } while (n > 0);
        assert_true(at > 0);
}

/* Twice the same; and what is kept is that image, as often as it goes round. */
static void check_round(int source) {
        struct kept first = import_kept(source), second = import_kept(source), back = import_kept(first.archive),
                    again = import_kept(back.archive);

        assert_string_equal(first.digest, second.digest);
        assert_same_bytes(first.archive, second.archive);
        assert_string_equal(first.digest, back.digest);
        assert_string_equal(first.digest, again.digest);
        assert_same_bytes(back.archive, again.archive);
        assert_string_equal(first.list, back.list);
        kept_clear(&first);
        kept_clear(&second);
        kept_clear(&back);
        kept_clear(&again);
}

static void check_bytes(GByteArray *source) {
        _cleanup_close_ int fd = bytes_memfd(source);

        check_round(fd);
        g_byte_array_unref(source);
}

static void test_program(void **state) {
        _cleanup_close_ int fd = open(BUSYBOX, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                skip();
        check_round(fd);
}

static void test_docker(void **state) {
        g_autoptr(GByteArray) tar = make_tar(SCRIPT);
        static const enum packing packings[] = {PLAIN, GZIP, ZSTD};

        for (size_t i = 0; i < G_N_ELEMENTS(packings); i++) {
                g_autoptr(GByteArray) file = pack(tar, packings[i]);

                check_bytes(make_docker(file, tar, false));
        }
}

static void test_oci(void **state) {
        GByteArray *archive = make_oci_simple(SCRIPT);

        check_bytes(pack(archive, GZIP));
        check_bytes(archive);
}

/* What does not belong to the image is not kept. */
static void test_stowaway(void **state) {
        g_autoptr(GByteArray) oci = make_oci_simple(SCRIPT), more = make_tar("d blobs\nd blobs/sha256\nf stowaway on-board\n");
        g_autoptr(GByteArray) both = g_byte_array_new();
        _cleanup_close_ int fd = -1;
        struct kept k;
        char *text;
        size_t len;

        /* The second tar goes over the end mark of the first. */
        g_byte_array_append(both, more->data, more->len);
        while (both->len >= 512 && both->data[both->len - 512] == 0)
                g_byte_array_set_size(both, both->len - 512);
        g_byte_array_append(both, oci->data, oci->len);
        fd = bytes_memfd(both);
        k = import_kept(fd);
        assert_int_equal(read_file(k.archive, 1U << 20, &text, &len), 0);
        assert_non_null(memmem(text, len, "shell", 5));
        assert_null(memmem(text, len, "on-board", 8));
        free(text);
        kept_clear(&k);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_program),
                cmocka_unit_test(test_docker),
                cmocka_unit_test(test_oci),
                cmocka_unit_test(test_stowaway),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
