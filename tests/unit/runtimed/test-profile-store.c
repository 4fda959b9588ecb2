/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The store of profiles on a real file system: what is linked, copied, read again and left alone. The worker's part, to
 * read what it is given, is played here. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/fd.h"
#include "store/profile-store.h"
#include "store/verified.h"

#define D1 "1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "2222222222222222222222222222222222222222222222222222222222222222"

typedef struct Scene {
        char *dir;
        ProfileStore *store;
        char *qemu, *lib; /* hashes */
} Scene;

static char *put(Scene *s, const char *content, mode_t mode) {
        char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, content, -1);
        g_autofree char *name = g_build_filename("cas/objects", hash, NULL),
                        *path = g_build_filename(s->dir, name, NULL);

        scratch_write(s->dir, name, content, strlen(content));
        assert_int_equal(chmod(path, mode), 0);
        return hash;
}

static int setup(void **state) {
        Scene *s = g_new0(Scene, 1);

        s->dir = scratch_new();
        assert_int_equal(profile_store_open(s->dir, &s->store), 0);
        s->qemu = put(s, "program", 0555);
        s->lib = put(s, "library", 0444);
        *state = s;
        return 0;
}

static int teardown(void **state) {
        Scene *s = *state;

        (void) profile_store_free(s->store);
        scratch_remove(s->dir);
        g_free(s->qemu);
        g_free(s->lib);
        g_free(s);
        return 0;
}

static void reopen(Scene *s) {
        (void) profile_store_free(s->store);
        assert_int_equal(profile_store_open(s->dir, &s->store), 0);
}

static struct stat look(Scene *s, const char *name) {
        g_autofree char *path = g_build_filename(s->dir, name, NULL);
        struct stat st;

        if (lstat(path, &st) < 0)
                fail_msg("%s: %s", path, g_strerror(errno));
        return st;
}

/* Reads an item as the worker does; -EBADMSG where it is not what it should be. */
static int play_worker(const AssemblyItem *item, const char *hash) {
        g_autofree char *found = NULL;
        char *text = NULL;
        size_t len;
        int r = 0;

        assert_int_equal(read_file(item->fd, 1 << 20, &text, &len), 0);
        found = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) text, len);
        if (item->copy >= 0)
                assert_int_equal(write_all(item->copy, text, len), 0);
        if (strcmp(found, hash) != 0)
                r = -EBADMSG;
        free(text);
        (void) close_fd(item->fd);
        (void) close_fd(item->copy);
        return r;
}

static unsigned n_read, n_copied;

/* Places one entry and reads what has to be; negative errno. */
static int place(Assembly *a, const char *path, const char *hash, bool executable) {
        const char *damage = NULL;
        AssemblyItem items[2];
        size_t n = 0;
        int r;

        r = assembly_place(a, path, hash, executable, items, &n, &damage);
        assert_int_equal(r == -EBADMSG, damage != NULL);
        for (size_t i = 0; i < n && (r >= 0 || damage); i++) {
                int k;

                n_read++;
                n_copied += items[i].copy >= 0;
                k = play_worker(&items[i], hash);
                r = r < 0 ? r : k;
        }
        return r;
}

static int assemble(Scene *s, const char *digest, bool verify) {
        Assembly *a;
        int r;

        n_read = n_copied = 0;
        assert_int_equal(assembly_begin(s->store, "kvm-linux", digest, verify, &a), 0);
        r = place(a, "bin/qemu-system-x86_64", s->qemu, true);
        if (r >= 0)
                r = place(a, "lib/a.so", s->lib, false);
        if (r >= 0)
                r = place(a, "lib/b.so", s->lib, false);
        if (r >= 0)
                return assembly_commit(a);
        (void) assembly_discard(a);
        return r;
}

static char *object(const char *hash) {
        return g_build_filename("cas/objects", hash, NULL);
}

static void assert_no_leftovers(Scene *s) {
        static const char *const places[] = {"cas/refs", "cas/objects", "qemu"};

        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                g_autofree char *path = g_build_filename(s->dir, places[i], NULL);
                g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
                const char *name;

                while ((name = g_dir_read_name(dir)))
                        if (g_str_has_prefix(name, ".tmp-"))
                                fail_msg("%s/%s is left", path, name);
        }
}

static void test_links(void **state) {
        Scene *s = *state;
        g_autofree char *program = object(s->qemu), *current = NULL;
        struct stat before = look(s, program), after, linked;

        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(n_read, 2); /* the library once */
        after = look(s, program);
        linked = look(s, "qemu/kvm-linux@" D1 "/bin/qemu-system-x86_64");
        assert_int_equal(linked.st_ino, before.st_ino);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
        assert_true(S_ISLNK(look(s, "qemu/kvm-linux").st_mode));
        assert_int_equal(look(s, "qemu/kvm-linux/lib").st_mode & 07777, 0755);
        current = profile_store_current(s->store, "kvm-linux");
        assert_string_equal(current, D1);
        assert_true(profile_store_has_program(s->store, "kvm-linux", "bin/qemu-system-x86_64"));
        assert_false(profile_store_has_program(s->store, "kvm-linux", "lib/a.so"));
        assert_no_leftovers(s);
}

/* The record makes the second time free, for the next daemon as well, and ends with any change of the file. */
static void test_reads_nothing_twice(void **state) {
        Scene *s = *state;
        g_autofree char *library = object(s->lib), *path = g_build_filename(s->dir, library, NULL);
        struct stat st;

        assert_int_equal(assemble(s, D1, false), 0);
        st = look(s, "qemu/kvm-linux@" D1);
        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(n_read, 0);
        assert_int_equal(look(s, "qemu/kvm-linux@" D1).st_ino, st.st_ino); /* a whole one stays */
        reopen(s);
        assert_int_equal(assemble(s, D2, false), 0);
        assert_int_equal(n_read, 0);
        assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(n_read, 1);
        assert_int_equal(assemble(s, D1, true), 0);
        assert_int_equal(n_read, 3); /* a verification reads all there is */
}

static bool keep_none(const char *digest, void *userdata) {
        return false;
}

static bool keep_d1(const char *digest, void *userdata) {
        return strcmp(digest, D1) == 0;
}

static void test_newer_takes_over(void **state) {
        Scene *s = *state;
        g_autofree char *current = NULL;
        uint64_t bytes = 0;
        uint32_t count = 0;

        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(assemble(s, D2, false), 0);
        current = profile_store_current(s->store, "kvm-linux");
        assert_string_equal(current, D2);
        profile_store_clean_assemblies(s->store, "kvm-linux", keep_d1, NULL, &bytes, &count);
        assert_int_equal(count, 0);
        profile_store_clean_assemblies(s->store, "kvm-linux", keep_none, NULL, &bytes, &count);
        assert_int_equal(count, 1);
        assert_false(scratch_has(s->dir, "qemu/kvm-linux@" D1));
        assert_true(scratch_has(s->dir, "qemu/kvm-linux/lib/b.so"));
        assert_int_equal(assemble(s, D2, false), 0);
        assert_int_equal(n_read, 0); /* links went; the bytes are known still */
}

/* What a store of before has: objects that nobody may execute, and a real directory where the link goes. */
static void test_old_store(void **state) {
        Scene *s = *state;
        g_autofree char *program = object(s->qemu), *path = g_build_filename(s->dir, program, NULL);
        struct stat before, copy;

        assert_int_equal(chmod(path, 0644), 0);
        before = look(s, program);
        scratch_write(s->dir, "qemu/kvm-linux/bin/qemu-system-x86_64", "old", 3);
        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(n_copied, 1);
        copy = look(s, "qemu/kvm-linux/bin/qemu-system-x86_64");
        assert_int_equal(copy.st_mode & 07777, 0555);
        assert_int_not_equal(copy.st_ino, before.st_ino);
        assert_int_equal(look(s, program).st_mode, before.st_mode);
        assert_int_equal(look(s, program).st_ctim.tv_nsec, before.st_ctim.tv_nsec);
        assert_true(S_ISLNK(look(s, "qemu/kvm-linux").st_mode));
        assert_no_leftovers(s);
        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(n_read, 0); /* the copy is known, too */
}

static void damage(Scene *s, const char *hash, int how) {
        g_autofree char *name = object(hash), *path = g_build_filename(s->dir, name, NULL);

        assert_int_equal(unlink(path), 0);
        if (how == 1)
                assert_int_equal(symlink("/etc/passwd", path), 0);
        if (how == 2)
                assert_int_equal(mkdir(path, 0755), 0);
        if (how == 3)
                assert_int_equal(mkfifo(path, 0644), 0);
        if (how == 4)
                scratch_write(s->dir, name, "something else", 14);
}

/* A damaged object leaves what was current, and nothing else. */
static void test_damage(void **state) {
        Scene *s = *state;

        assert_int_equal(assemble(s, D1, false), 0);
        for (int how = 0; how < 5; how++) {
                g_autofree char *current = NULL, *hash = NULL, *name = object(s->lib);

                damage(s, s->lib, how);
                assert_int_equal(assemble(s, D2, false), -EBADMSG);
                assert_int_equal(assemble(s, D1, true), -EBADMSG);
                current = profile_store_current(s->store, "kvm-linux");
                assert_string_equal(current, D1);
                assert_false(scratch_has(s->dir, "qemu/kvm-linux@" D2));
                assert_no_leftovers(s);
                {
                        g_autofree char *path = g_build_filename(s->dir, name, NULL);

                        (void) (how == 2 ? rmdir(path) : unlink(path));
                }
                hash = put(s, "library", 0444);
        }
        assert_int_equal(assemble(s, D2, false), 0);
}

/* Bytes that changed without a trace in the record are found by a verification, and not trusted from then on. */
static void test_verify_forgets(void **state) {
        Scene *s = *state;
        g_autofree char *name = object(s->lib), *path = g_build_filename(s->dir, name, NULL);
        struct stat st;
        Verified *v;
        int dir;

        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(chmod(path, 0644), 0);
        scratch_write(s->dir, name, "LIBRARY", 7);
        assert_int_equal(chmod(path, 0444), 0);
        (void) profile_store_free(s->store);
        /* As if the record knew the file as it is now. */
        {
                g_autofree char *qemu = g_build_filename(s->dir, "qemu", NULL);

                dir = open(qemu, O_RDONLY | O_DIRECTORY);
        }
        v = verified_load(dir, ".verified");
        assert_int_equal(stat(path, &st), 0);
        verified_add(v, &st, s->lib);
        assert_int_equal(verified_save(v, dir, ".verified"), 0);
        (void) verified_free(v);
        (void) close_fd(dir);
        assert_int_equal(profile_store_open(s->dir, &s->store), 0);
        assert_int_equal(assemble(s, D2, false), 0);
        assert_int_equal(assemble(s, D2, true), -EBADMSG);
        reopen(s);
        assert_int_equal(assemble(s, D1, false), -EBADMSG);
}

/* A file that is both there already and wanted, and entries that get in each other's way. */
static void test_twice(void **state) {
        Scene *s = *state;
        Assembly *a;

        assert_int_equal(assembly_begin(s->store, "kvm-linux", D1, false, &a), 0);
        assert_int_equal(place(a, "bin/x", s->qemu, true), 0);
        assert_int_equal(place(a, "bin/x", s->qemu, true), -EEXIST);
        assert_true(place(a, "bin/x/y", s->qemu, true) < 0);
        (void) assembly_discard(a);
        assert_no_leftovers(s);
}

/* A daemon that died leaves halves; the next one removes them. */
static void test_half(void **state) {
        static Assembly *a; /* never freed: nobody does that at a kill */
        Scene *s = *state;
        char *tmp = NULL;
        int fd;

        assert_int_equal(assembly_begin(s->store, "kvm-linux", D1, false, &a), 0);
        assert_int_equal(place(a, "lib/deep/er/x", s->lib, false), 0);
        fd = profile_store_create_object(s->store, &tmp);
        assert_true(fd >= 0);
        (void) close_fd(fd);
        g_free(tmp);
        reopen(s); /* and a is forgotten, as by a kill */
        assert_no_leftovers(s);
}

static void test_objects(void **state) {
        Scene *s = *state;
        g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, "new", -1), *name = object(hash);
        g_autofree char *library = object(s->lib), *tmp = NULL, *again = NULL;
        struct stat before = look(s, library);
        uint64_t bytes;
        int fd;

        fd = profile_store_create_object(s->store, &tmp);
        assert_int_equal(write_all(fd, "new", 3), 0);
        (void) close_fd(fd);
        assert_int_equal(profile_store_commit_object(s->store, tmp, hash, true), 0);
        assert_int_equal(look(s, name).st_mode & 07777, 0555);
        /* Known to be good: it stays. Not known: it is replaced, and what is linked elsewhere stays as it is. */
        fd = profile_store_create_object(s->store, &again);
        (void) close_fd(fd);
        assert_int_equal(assemble(s, D1, false), 0);
        assert_int_equal(profile_store_commit_object(s->store, again, s->lib, false), 0);
        assert_int_equal(look(s, library).st_ino, before.st_ino);
        assert_int_equal(profile_store_remove_object(s->store, hash, &bytes), 0);
        assert_false(scratch_has(s->dir, name));
        assert_true(bytes > 0);
        assert_no_leftovers(s);
}

static void test_refs(void **state) {
        Scene *s = *state;
        g_autoptr(GPtrArray) names = NULL;
        g_autofree char *id = NULL, *other = NULL,
                        *link = g_build_filename(s->dir, "cas/refs/kvm-linux-0123456789.json", NULL);
        int fd;

        scratch_write(s->dir, "cas/refs/kvm-linux-01234567.json", "{}", 2);
        scratch_write(s->dir, "cas/refs/.hidden.json", "{}", 2);
        scratch_write(s->dir, "cas/refs/readme", "", 0);
        names = profile_store_refs(s->store);
        assert_int_equal(names->len, 1);
        fd = profile_store_open_ref(s->store, "kvm-linux-01234567.json", &id);
        assert_true(fd >= 0);
        (void) close_fd(fd);
        scratch_write(s->dir, "cas/refs/kvm-linux-01234567.json", "{ }", 3);
        fd = profile_store_open_ref(s->store, "kvm-linux-01234567.json", &other);
        (void) close_fd(fd);
        assert_string_not_equal(id, other);
        assert_int_equal(symlink("/etc/passwd", link), 0);
        assert_int_equal(profile_store_open_ref(s->store, "kvm-linux-0123456789.json", &id), -ELOOP);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_links, setup, teardown),
                cmocka_unit_test_setup_teardown(test_reads_nothing_twice, setup, teardown),
                cmocka_unit_test_setup_teardown(test_newer_takes_over, setup, teardown),
                cmocka_unit_test_setup_teardown(test_old_store, setup, teardown),
                cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
                cmocka_unit_test_setup_teardown(test_verify_forgets, setup, teardown),
                cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
                cmocka_unit_test_setup_teardown(test_half, setup, teardown),
                cmocka_unit_test_setup_teardown(test_objects, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refs, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
