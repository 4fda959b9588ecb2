/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other jobs of the real worker: initrd and hash; and what a large image costs. */
#include "unit.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive-maker.h"
#include "shared/fd.h"
#include "worker-run.h"

#define MODULE "\177ELF pretends to be a module"

static const char *const initrd_fds[] = {"guest-init", "modules", "output", NULL};

/* A modules directory as a distribution has it. */
static int make_modules(char **ret_dir) {
        static const struct {
                const char *name;
                enum packing packing;
        } files[] = {
                {"kernel/a.ko", PLAIN}, {"kernel/b.ko.xz", XZ}, {"kernel/c.ko.zst", ZSTD}, {"kernel/d.ko.gz", GZIP}};
        g_autoptr(GByteArray) module =
                g_byte_array_append(g_byte_array_new(), (const guint8 *) MODULE, sizeof MODULE - 1);
        char *dir = g_dir_make_tmp("modules-XXXXXX", NULL);
        g_autofree char *kernel = g_build_filename(dir, "kernel", NULL);
        g_autofree char *dep = g_build_filename(dir, "modules.dep", NULL);
        g_autofree char *builtin = g_build_filename(dir, "modules.builtin", NULL);

        assert_int_equal(mkdir(kernel, 0700), 0);
        assert_true(g_file_set_contents(dep,
                "kernel/a.ko: kernel/c.ko.zst kernel/b.ko.xz\nkernel/b.ko.xz:\nkernel/c.ko.zst: kernel/b.ko.xz\n"
                "kernel/d.ko.gz:\nkernel/lost.ko:\n",
                -1, NULL));
        assert_true(g_file_set_contents(builtin, "kernel/fs/ext4.ko\n", -1, NULL));
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *path = g_build_filename(dir, files[i].name, NULL);
                g_autoptr(GByteArray) packed =
                        files[i].packing == PLAIN ? g_byte_array_ref(module) : pack(module, files[i].packing);

                assert_true(g_file_set_contents(path, (const char *) packed->data, packed->len, NULL));
        }
        *ret_dir = dir;
        return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void remove_modules(char *dir) {
        static const char *const files[] = {"kernel/a.ko", "kernel/b.ko.xz", "kernel/c.ko.zst", "kernel/d.ko.gz",
                "modules.dep", "modules.builtin", "kernel", ""};

        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *path = g_build_filename(dir, files[i], NULL);

                assert_int_equal(g_remove(path), 0);
        }
        g_free(dir);
}

static char *list_cpio(int fd) {
        GString *out = g_string_new(NULL);
        struct archive *a = archive_read_new();
        struct archive_entry *e;

        archive_read_support_format_cpio(a);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(archive_read_open_fd(a, fd, 512), ARCHIVE_OK);
        while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
                char data[200] = "";

                (void) archive_read_data(a, data, sizeof data - 1);
                g_string_append_printf(out, "%s %o %s|", archive_entry_pathname(e), archive_entry_mode(e), data);
        }
        archive_read_free(a);
        return g_string_free(out, FALSE);
}

static struct outcome run_initrd(json_t *modules, const char *init, int modules_fd) {
        int fds[] = {memfd_create("init", MFD_CLOEXEC), modules_fd, memfd_create("output", MFD_CLOEXEC)};
        struct outcome o;

        assert_int_equal(write_all(fds[0], init, strlen(init)), 0);
        o = worker_run(json_pack("{s:s, s:s, s:s, s:o}", "type", "launch", "op", "initrd", "kernel", "6.1-test",
                               "modules", modules),
                initrd_fds, fds, 0);
        (void) close_fd(fds[0]);
        o.output = fds[2];
        return o;
}

static void test_initrd(void **state) {
        _cleanup_close_ int modules = -1;
        g_autofree char *list = NULL;
        char *dir;
        struct outcome o;
        struct stat st;

        modules = make_modules(&dir);
        o = run_initrd(json_pack("[s, s, s, s, s]", "a", "ext4", "nosuch?", "d", "b"), "\177ELF init", modules);
        assert_done(&o);
        assert_int_equal(fstat(o.output, &st), 0);
        assert_int_equal(json_integer_value(json_object_get(o.last, "size")), st.st_size);
        list = list_cpio(o.output);
        assert_string_equal(list, "dev 40755 |proc 40755 |sys 40755 |run 40755 |newroot 40755 |modules 40755 "
                                  "|dev/console 20600 |init 100755 "
                                  "\177ELF init|modules/b.ko 100644 " MODULE "|modules/c.ko 100644 " MODULE
                                  "|modules/a.ko 100644 " MODULE "|modules/d.ko 100644 " MODULE
                                  "|modules.list 100644 /modules/b.ko\n/modules/c.ko\n/modules/a.ko\n/modules/d.ko\n|");
        outcome_clear(&o);
        remove_modules(dir);
}

static void test_initrd_refused(void **state) {
        _cleanup_close_ int modules = -1;
        char *dir;
        struct outcome o;

        modules = make_modules(&dir);
        o = run_initrd(json_pack("[s]", "nosuch"), "\177ELF init", modules);
        assert_failed(&o, "NotSupported", "kernel 6.1-test has no module nosuch");
        outcome_clear(&o);
        o = run_initrd(json_pack("[s]", "lost"), "\177ELF init", modules);
        assert_failed(&o, "NotSupported", "kernel module kernel/lost.ko cannot be opened");
        outcome_clear(&o);
        o = run_initrd(json_pack("[s]", "a"), "#!/bin/sh", modules);
        assert_failed(&o, "InvalidSpec", "init is no ELF program");
        outcome_clear(&o);
        o = run_initrd(json_pack("[i]", 7), "\177ELF init", modules);
        assert_failed(&o, "InvalidSpec", "an array of module names");
        outcome_clear(&o);
        remove_modules(dir);
}

static void test_hash(void **state) {
        static const char *const names[] = {"file", NULL};
        _cleanup_close_ int fd = memfd_create("file", MFD_CLOEXEC);
        int fds[2];
        struct outcome o;

        assert_int_equal(write_all(fd, "abc", 3), 0);
        o = worker_run(json_pack("{s:s, s:s}", "type", "launch", "op", "hash"), names, &fd, 0);
        assert_done(&o);
        assert_string_equal(
                text_of(&o, "digest"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_int_equal(json_integer_value(json_object_get(o.last, "size")), 3);
        outcome_clear(&o);

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        o = worker_run(json_pack("{s:s, s:s}", "type", "launch", "op", "hash"), names, &fds[0], 0);
        assert_failed(&o, "InvalidSpec", "only a regular file");
        outcome_clear(&o);
        (void) close_fd(fds[0]);
        (void) close_fd(fds[1]);
}

#if defined(WITH_ADDRESS_SANITIZER)
#define LARGE_FILES 5000U /* nothing is measured, and each takes twenty times as long */
#else
#define LARGE_FILES 100000U
#endif

static int make_large(void) {
        g_autoptr(GString) script = g_string_new(NULL);
        g_autoptr(GByteArray) source = NULL;

        for (unsigned i = 0; i < LARGE_FILES; i++)
                g_string_append_printf(script, "f directory-%u/file-number-%u content %u\n", i / 100, i, i);
        source = make_oci_simple(script->str);
        return bytes_memfd(source);
}

/* 100,000 entries within 64 MiB; a sanitizer's own memory is not counted. What this process has when it forks counts as
 * the worker's, so it has nothing by then. */
static void test_memory(void **state) {
        _cleanup_close_ int source = make_large();
        struct outcome o;

        (void) malloc_trim(0);
        o = import_fd(source, NULL);
        assert_done(&o);
        print_message("peak %ld KiB\n", o.peak_kib);
#if !defined(WITH_ADDRESS_SANITIZER)
        assert_true(o.peak_kib < 64 * 1024);
#endif
        outcome_clear(&o);
}

/* Who reaches a limit of its own says which. */
static void test_own_memory(void **state) {
#if defined(WITH_ADDRESS_SANITIZER)
        skip(); /* its shadow is more than any limit */
#endif
        _cleanup_close_ int source = make_large();
        struct outcome o = import_fd(source, json_pack("{s:i}", "memory", 24 << 20));

        assert_failed(&o, "LimitExceeded", "WorkerMemoryMiB");
        outcome_clear(&o);
        o = import_fd(source, json_pack("{s:i}", "memory", 256 << 20));
        assert_done(&o);
        outcome_clear(&o);
}

/* Hashing a hole of a tebibyte takes its time; the processor's, not the clock's, is counted. */
static void test_own_cpu(void **state) {
        static const char *const names[] = {"file", NULL};
        _cleanup_close_ int file = memfd_create("file", MFD_CLOEXEC);
        json_t *launch = json_pack("{s:s, s:s, s:i}", "type", "launch", "op", "hash", "cpu", 1);
        struct outcome o;

        assert_int_equal(ftruncate(file, (off_t) 1 << 40), 0);
        o = worker_run(launch, names, &file, 0);
        assert_failed(&o, "LimitExceeded", "more than 1 s of CPU time (WorkerCPUSec=");
        outcome_clear(&o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_initrd),
                cmocka_unit_test(test_initrd_refused),
                cmocka_unit_test(test_hash),
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_own_memory),
                cmocka_unit_test(test_own_cpu),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
