/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state directory: what is written whole, what is half and goes, what is never followed. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/record.h"
#include "shared/atomic-file.h"
#include "shared/fd.h"
#include "store/store.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEX2 "ff23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

typedef struct Bench {
        char *dir;
        Store *store;
} Bench;

static int setup(void **state) {
        Bench *b = g_new0(Bench, 1);

        b->dir = scratch_new();
        assert_int_equal(store_open(b->dir, &b->store), 0);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bench *b = *state;

        assert_null(store_free(b->store));
        scratch_remove(b->dir);
        g_free(b);
        return 0;
}

static void reopen(Bench *b) {
        b->store = store_free(b->store);
        assert_int_equal(store_open(b->dir, &b->store), 0);
}

static mode_t mode_of(const Bench *b, const char *name) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);
        struct stat st;

        assert_int_equal(lstat(path, &st), 0);
        return st.st_mode & 07777;
}

static unsigned count_entries(const Bench *b, const char *name) {
        g_autofree char *path = g_build_filename(b->dir, name, NULL);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        unsigned n = 0;

        assert_non_null(dir);
        while (g_dir_read_name(dir))
                n++;
        return n;
}

static void save_vm(Bench *b, const char *name, const char *value) {
        json_t *record = json_pack("{s:s}", "key", value);

        assert_int_equal(store_vm_save(b->store, name, record), 0);
        json_decref(record);
}

static void test_open(void **state) {
        Bench *b = *state;
        Store *none = NULL;
        g_autofree char *missing = g_build_filename(b->dir, "missing", NULL), *file = g_build_filename(b->dir, "file", NULL);

        assert_int_equal(mode_of(b, "vms"), 0700);
        assert_int_equal(mode_of(b, "images"), 0700);
        assert_int_equal(mode_of(b, "cache"), 0700);
        assert_int_equal(store_open(missing, &none), -ENOENT);
        scratch_text(b->dir, "file", "");
        assert_int_equal(store_open(file, &none), -ENOTDIR);
        assert_null(none);
        assert_null(store_free(NULL));
}

/* A link where a directory of the store should be would lead anywhere. */
static void test_open_link(void **state) {
        g_autofree char *link = NULL;
        char *dir = scratch_new();
        Store *none = NULL;

        link = g_build_filename(dir, "vms", NULL);
        assert_int_equal(symlink("/tmp", link), 0);
        assert_true(store_open(dir, &none) < 0);
        assert_null(none);
        scratch_remove(dir);
}

static void *describe(int r, const char *text, size_t len, const void *context) {
        if (r < 0)
                return g_strdup_printf("%s%s", (const char *) context, strerrorname_np(-r));
        return g_strdup_printf("%s%zu %.*s", (const char *) context, len, (int) MIN(len, 20), text);
}

static void collect_vm(const char *name, void *result, void *userdata) {
        assert_true(g_hash_table_insert(userdata, g_strdup(name), result));
}

/* name -> "|" and the length and the beginning of its record, or the error's name. */
static GHashTable *load_vms(Bench *b) {
        GHashTable *vms = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

        store_vms_load(b->store, describe, "|", collect_vm, vms);
        return vms;
}

static void assert_loads(Bench *b, const char *name, const char *expected) {
        g_autoptr(GHashTable) vms = load_vms(b);

        assert_non_null(g_hash_table_lookup(vms, name));
        assert_string_equal(g_hash_table_lookup(vms, name), expected);
}

static void test_record(void **state) {
        Bench *b = *state;
        g_autoptr(GHashTable) none = load_vms(b);

        assert_int_equal(g_hash_table_size(none), 0);
        save_vm(b, "web", "one");
        save_vm(b, "web", "two");
        assert_int_equal(mode_of(b, "vms/web"), 0700);
        assert_int_equal(mode_of(b, "vms/web/meta.json"), 0600);
        assert_int_equal(count_entries(b, "vms/web"), 1); /* no temporary file is left */
        assert_loads(b, "web", "|18 {\n  \"key\": \"two\"\n}");
}

/* Neither a link nor a pipe nor something endless is read as a record, nor what is no directory. */
static void test_record_hostile(void **state) {
        Bench *b = *state;
        g_autofree char *path = g_build_filename(b->dir, "vms/web/meta.json", NULL);
        g_autofree char *linked = g_build_filename(b->dir, "vms/linked", NULL);
        g_autofree char *big = g_strnfill(RECORD_BYTES_MAX + 1, ' ');

        save_vm(b, "web", "one");
        assert_int_equal(symlink("web", linked), 0);
        assert_loads(b, "linked", "|ENOTDIR");
        scratch_text(b->dir, "vms/file", "");
        assert_loads(b, "file", "|ENOTDIR");
        assert_int_equal(unlink(path), 0);
        assert_loads(b, "web", "|ENOENT");
        assert_int_equal(symlink("/etc/passwd", path), 0);
        assert_loads(b, "web", "|ELOOP");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_loads(b, "web", "|0 "); /* and it does not wait for a writer */
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_loads(b, "web", "|EISDIR");
        assert_int_equal(rmdir(path), 0);
        scratch_text(b->dir, "vms/web/meta.json", big);
        assert_loads(b, "web", "|EFBIG");
}

/* Each gets its own, whichever thread has read it, and all of it. */
static void test_many_records(void **state) {
        static const size_t sizes[] = {0, 1, 16383, 16384, 16385, RECORD_BYTES_MAX};
        Bench *b = *state;
        g_autoptr(GHashTable) vms = NULL;

        for (unsigned i = 0; i < 600; i++) {
                g_autofree char *file = g_strdup_printf("vms/vm-%u/meta.json", i), *text = g_strdup_printf("%u", i);

                scratch_text(b->dir, file, text);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                g_autofree char *file = g_strdup_printf("vms/size-%zu/meta.json", i), *text = g_strnfill(sizes[i], 'x');

                scratch_text(b->dir, file, text);
        }
        vms = load_vms(b);
        assert_int_equal(g_hash_table_size(vms), 600 + G_N_ELEMENTS(sizes));
        for (unsigned i = 0; i < 600; i++) {
                g_autofree char *name = g_strdup_printf("vm-%u", i), *text = g_strdup_printf("%u", i);
                g_autofree char *expected = g_strdup_printf("|%zu %s", strlen(text), text);

                assert_string_equal(g_hash_table_lookup(vms, name), expected);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                g_autofree char *name = g_strdup_printf("size-%zu", i), *text = g_strnfill(MIN(sizes[i], 20), 'x');
                g_autofree char *expected = g_strdup_printf("|%zu %s", sizes[i], text);

                assert_string_equal(g_hash_table_lookup(vms, name), expected);
        }
}

static void test_remove(void **state) {
        Bench *b = *state;

        save_vm(b, "web", "one");
        save_vm(b, "db", "one");
        scratch_text(b->dir, "vms/web/log0", "x");
        scratch_text(b->dir, "vms/web/exit", "x");
        assert_int_equal(store_vm_remove(b->store, "web"), 0);
        assert_int_equal(store_vm_remove(b->store, "web"), 0);
        assert_int_equal(count_entries(b, "vms"), 1);
        assert_true(scratch_has(b->dir, "vms/db/meta.json"));
}

static void test_names(void **state) {
        Bench *b = *state;
        g_autoptr(GHashTable) vms = NULL;

        save_vm(b, "web", "one");
        scratch_text(b->dir, "vms/empty/other", ""); /* without a record: still to be listed and removed */
        scratch_text(b->dir, "vms/UPPER/meta.json", "{}");
        scratch_text(b->dir, "vms/.hidden/meta.json", "{}");
        vms = load_vms(b);
        assert_int_equal(g_hash_table_size(vms), 2);
        assert_string_equal(g_hash_table_lookup(vms, "empty"), "|ENOENT");
        assert_non_null(g_hash_table_lookup(vms, "web"));
}

static void test_vm_file(void **state) {
        Bench *b = *state;
        g_autofree char *link = g_build_filename(b->dir, "vms/web/log1", NULL);
        int fd;

        assert_int_equal(store_vm_open(b->store, "web", "log0", O_RDONLY), -ENOENT);
        save_vm(b, "web", "one");
        assert_int_equal(store_vm_open(b->store, "web", "log0", O_RDONLY), -ENOENT);
        fd = store_vm_open(b->store, "web", "log0", O_RDWR | O_CREAT);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        (void) close_fd(fd);
        assert_int_equal(mode_of(b, "vms/web/log0"), 0600);
        assert_int_equal(symlink("/etc/passwd", link), 0);
        assert_int_equal(store_vm_open(b->store, "web", "log1", O_RDONLY), -ELOOP);
}

/* As a daemon does it. */
static void start_anew(Bench *b) {
        reopen(b);
        g_hash_table_unref(load_vms(b));
}

/* What a killed daemon leaves half goes at the next start, in a VM's directory when its turn comes; everything else stays. */
static void test_cleaning(void **state) {
        static const char *const half[] = {"vms/.tmp-gone-old/meta.json", "vms/.tmp-gone-old/log0", "vms/web/.tmp-0123",
                "images/1000/.tmp-abc", "cache/.tmp-abc", "vms/.tmp-file"};
        static const char *const whole[] = {"vms/web/meta.json", "vms/web/log0", "images/1000/" HEX ".json",
                "images/1000/" HEX ".squashfs", "cache/initrd-6.1", "cache/kvm.json"};
        Bench *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(half); i++)
                scratch_text(b->dir, half[i], "half");
        for (size_t i = 0; i < G_N_ELEMENTS(whole); i++)
                scratch_text(b->dir, whole[i], "whole");
        start_anew(b);
        assert_true(scratch_has(b->dir, "vms/web/.tmp-0123"));
        assert_int_equal(store_vm_clean(b->store, "web"), 1);
        assert_int_equal(store_vm_clean(b->store, "web"), 0);
        assert_int_equal(store_vm_clean(b->store, "nobody"), 0);
        for (size_t i = 0; i < G_N_ELEMENTS(half); i++)
                if (scratch_has(b->dir, half[i]))
                        fail_msg("%s is still there", half[i]);
        for (size_t i = 0; i < G_N_ELEMENTS(whole); i++)
                if (!scratch_has(b->dir, whole[i]))
                        fail_msg("%s has gone", whole[i]);
        assert_false(scratch_has(b->dir, "vms/.tmp-gone-old"));
        scratch_text(b->dir, "cache/.tmp-deep/nobody/made/this", "");
        scratch_text(b->dir, "cache/.tmp-flat", "");
        assert_int_equal(store_clean(b->store), 1); /* what cannot be removed is no repair, the second time neither */
        assert_int_equal(store_clean(b->store), 0);
}

/* Cleaning stays in its directory: what a link points to is not touched. */
static void test_cleaning_links(void **state) {
        Bench *b = *state;
        char *other = scratch_new();
        g_autofree char *dir = g_build_filename(b->dir, "vms/.tmp-gone-x", NULL);
        g_autofree char *vm = g_build_filename(b->dir, "vms/linked", NULL);

        scratch_text(other, ".tmp-mine", "x");
        scratch_text(other, "mine", "x");
        assert_int_equal(symlink(other, dir), 0);
        assert_int_equal(symlink(other, vm), 0);
        start_anew(b);
        assert_int_equal(store_vm_clean(b->store, "linked"), 0);
        assert_true(scratch_has(other, ".tmp-mine"));
        assert_true(scratch_has(other, "mine"));
        assert_false(scratch_has(b->dir, "vms/.tmp-gone-x"));
        scratch_remove(other);
}

static void collect_image(uint32_t owner, const char *hex, const char *text, size_t len, void *userdata) {
        g_string_append_printf(userdata, "%u/%.4s=%.*s ", owner, hex, (int) len, text);
}

static void test_images_load(void **state) {
        Bench *b = *state;
        g_autoptr(GString) found = g_string_new(NULL);
        g_autofree char *link = g_build_filename(b->dir, "images/2000", NULL);

        scratch_text(b->dir, "images/1000/" HEX ".json", "one");
        scratch_text(b->dir, "images/1000/" HEX ".squashfs", "root");
        scratch_text(b->dir, "images/1000/" HEX2 ".squashfs", "orphan");
        scratch_text(b->dir, "images/4294967296/" HEX ".json", "no uid");
        scratch_text(b->dir, "images/nobody/" HEX ".json", "no uid");
        assert_int_equal(symlink("1000", link), 0);
        store_images_load(b->store, collect_image, found);
        assert_string_equal(found->str, "1000/0123=one ");
        assert_true(scratch_has(b->dir, "images/1000/" HEX ".squashfs"));
        assert_false(scratch_has(b->dir, "images/1000/" HEX2 ".squashfs"));
}

static void test_image(void **state) {
        Bench *b = *state;
        json_t *record = json_object();
        g_autofree char *tmp = NULL;
        char *dropped = NULL;
        int fd;

        assert_int_equal(store_image_open(b->store, 1000, HEX), -ENOENT);
        fd = store_image_create(b->store, 1000, &tmp);
        assert_true(fd >= 0);
        assert_true(g_str_has_prefix(tmp, ATOMIC_TMP_PREFIX));
        assert_int_equal(write_all(fd, "root", 4), 0);
        (void) close_fd(fd);
        assert_int_equal(store_image_commit(b->store, 1000, tmp, HEX), 0);
        assert_int_equal(mode_of(b, "images/1000/" HEX ".squashfs"), 0444);
        assert_int_equal(store_image_save(b->store, 1000, HEX, record), 0);
        fd = store_image_open(b->store, 1000, HEX);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        (void) close_fd(fd);
        assert_int_equal(store_image_open(b->store, 1001, HEX), -ENOENT); /* another owner's */

        (void) close_fd(store_image_create(b->store, 1000, &dropped));
        store_image_discard(b->store, 1000, dropped);
        g_free(dropped);
        assert_int_equal(count_entries(b, "images/1000"), 2);

        assert_int_equal(store_image_remove(b->store, 1000, HEX), 0);
        assert_int_equal(store_image_remove(b->store, 1000, HEX), 0);
        assert_int_equal(count_entries(b, "images"), 0);
        json_decref(record);
}

/* A removal that broke off between the two files can be done again. */
static void test_image_half_removed(void **state) {
        Bench *b = *state;

        scratch_text(b->dir, "images/1000/" HEX ".squashfs", "root");
        assert_int_equal(store_image_remove(b->store, 1000, HEX), 0);
        assert_false(scratch_has(b->dir, "images/1000"));
}

static void test_cache(void **state) {
        Bench *b = *state;
        g_autofree char *tmp = NULL, *dropped = NULL;
        int fd;

        assert_int_equal(store_cache_open(b->store, "initrd-1"), -ENOENT);
        (void) close_fd(store_cache_create(b->store, &tmp));
        assert_int_equal(store_cache_commit(b->store, tmp, "initrd-1"), 0);
        assert_int_equal(mode_of(b, "cache/initrd-1"), 0444);
        fd = store_cache_open(b->store, "initrd-1");
        assert_true(fd >= 0);
        (void) close_fd(fd);
        (void) close_fd(store_cache_create(b->store, &dropped));
        store_cache_discard(b->store, dropped);
        assert_int_equal(count_entries(b, "cache"), 2); /* and jobs/ */
}

static void test_facts(void **state) {
        Bench *b = *state;
        json_t *fact = json_pack("{s:b}", "usable", 1), *again;

        assert_null(store_fact_load(b->store, "kvm.json"));
        assert_int_equal(store_fact_save(b->store, "kvm.json", fact), 0);
        again = store_fact_load(b->store, "kvm.json");
        assert_true(json_equal(fact, again));
        json_decref(again);
        json_decref(fact);
        scratch_text(b->dir, "cache/kvm.json", "{\"usable\":");
        assert_null(store_fact_load(b->store, "kvm.json"));
}

static void no_job(const char *text, size_t len, uint32_t id, void *userdata) {
        fail_msg("job %u is there", id);
}

/* The number of a job that is over stays taken, also of one that found no room for its record. */
static void test_job_numbers(void **state) {
        Bench *b = *state;
        json_t *record = json_pack("{}");

        assert_int_equal(store_job_save(b->store, 5, record), 0);
        json_decref(record);
        store_job_remove(b->store, 5);
        store_job_remove(b->store, 6);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(store_jobs_load(b->store, no_job, NULL), 6);
                assert_int_equal(count_entries(b, "cache/jobs"), 1);
                store_job_remove(b->store, 4);
                reopen(b);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_open, setup, teardown),
                cmocka_unit_test(test_open_link),
                cmocka_unit_test_setup_teardown(test_record, setup, teardown),
                cmocka_unit_test_setup_teardown(test_record_hostile, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many_records, setup, teardown),
                cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
                cmocka_unit_test_setup_teardown(test_names, setup, teardown),
                cmocka_unit_test_setup_teardown(test_vm_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cleaning, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cleaning_links, setup, teardown),
                cmocka_unit_test_setup_teardown(test_images_load, setup, teardown),
                cmocka_unit_test_setup_teardown(test_image, setup, teardown),
                cmocka_unit_test_setup_teardown(test_image_half_removed, setup, teardown),
                cmocka_unit_test_setup_teardown(test_cache, setup, teardown),
                cmocka_unit_test_setup_teardown(test_facts, setup, teardown),
                cmocka_unit_test_setup_teardown(test_job_numbers, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
