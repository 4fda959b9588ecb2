/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's calls that fail, one after the other: each read of what it is given, each write, fsync and open, and each call that makes
 * a descriptor, of each kind of job. A job that fails says why, with the name that fits; one that succeeds all the same has made the
 * same bytes. */
#include "unit.h"

#include "../../soak.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive-maker.h"
#include "faults.h"
#include "shared/fd.h"
#include "shared/wire.h"
#include "worker-run.h"

#define SCRIPT "d bin\nf bin/sh shell\nl lib usr/lib\nf empty \nx marked v\nz sparse \n"
#define OUTPUTS 2U
#define MKFS "/sbin/mkfs.ext4"

static char path[] = "/tmp/mcp-faults-XXXXXX";
static struct faults *faults;
static char *directory; /* of the host: a volume's, and a kernel's */

/* ---- Jobs ---- */

struct job {
        char letter;
        const char *what;
        const char *launch; /* JSON; DIR is the directory */
        const char *const *names;
        GByteArray *(*source)(void);
        bool pipe;   /* the source is one */
        bool varies; /* by the time, or by chance */
};

static GByteArray *elf_program(void) {
        struct {
                Elf64_Ehdr head;
                Elf64_Phdr segment;
        } p = {.head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_EXEC,
                       .e_machine = EM_X86_64,
                       .e_version = EV_CURRENT,
                       .e_entry = 0x400100,
                       .e_phoff = sizeof(Elf64_Ehdr),
                       .e_phentsize = sizeof(Elf64_Phdr),
                       .e_phnum = 1},
                .segment = {.p_type = PT_LOAD, .p_vaddr = 0x400000, .p_filesz = sizeof p, .p_memsz = sizeof p + 100}};

        return g_byte_array_append(g_byte_array_new(), (const guint8 *) &p, sizeof p);
}

static GByteArray *oci_archive(void) {
        return make_oci_simple(SCRIPT);
}

static GByteArray *packed_archive(void) {
        g_autoptr(GByteArray) plain = oci_archive();

        return pack(plain, GZIP);
}

static GByteArray *docker_archive(void) {
        g_autoptr(GByteArray) tar = make_tar(SCRIPT), packed = pack(tar, ZSTD);

        return make_docker(packed, tar, false);
}

static GByteArray *volume_tar(void) {
        return make_tar(SCRIPT);
}

static GByteArray *build_tar(void) {
        return make_tar("d bin\nf bin/qemu-system-x86_64 program\nl lib/libz.so libz.so.1\nf lib/libz.so.1 library\n");
}

static GByteArray *empty_disk(void) {
        return g_byte_array_set_size(g_byte_array_new(), 1 << 20);
}

static GByteArray *init_program(void) {
        return g_byte_array_append(g_byte_array_new(), (const guint8 *) "\177ELF init", 9);
}

#define IMPORT "{\"type\":\"launch\",\"op\":\"import\",\"architecture\":\"x86_64\"}"

static const char *const import_names[] = {"source", "output", "archive", NULL};
static const char *const volume_names[] = {"archive0", "output", NULL};
static const char *const initrd_names[] = {"guest-init", "output", "modules", NULL};
static const char *const format_names[] = {"disk", NULL};
static const char *const ingest_names[] = {"source", "output", NULL};

static const struct job jobs[] = {
        {'e', "a program", IMPORT, import_names, elf_program, false, false},
        {'o', "an OCI archive", IMPORT, import_names, packed_archive, false, false},
        {'p', "a pipe", IMPORT, import_names, oci_archive, true, false},
        {'d', "a docker archive", IMPORT, import_names, docker_archive, false, false},
        {'v', "volumes", "{\"type\":\"launch\",\"op\":\"volumes\",\"paths\":[\"DIR/kernel\"],\"roots\":[\"DIR\"]}",
                volume_names, volume_tar, false, false},
        {'i', "an initrd", "{\"type\":\"launch\",\"op\":\"initrd\",\"kernel\":\"6.1\",\"modules\":[\"a\"]}",
                initrd_names, init_program, false, false},
        {'t', "a profile",
                "{\"type\":\"launch\",\"op\":\"profile-ingest\",\"profile\":\"emulate-x86\",\"qemu_version\":\"9.1."
                "0\"}",
                ingest_names, build_tar, false, true},
        {'f', "a disk", "{\"type\":\"launch\",\"op\":\"format\",\"mkfs\":\"" MKFS "\",\"label\":\"x\"}", format_names,
                empty_disk, false, true},
};

/* ---- One job ---- */

static struct result {
        struct outcome o;
        char *bytes[OUTPUTS];
        size_t len[OUTPUTS];
} result, wanted;

static void result_clear(struct result *r) {
        outcome_clear(&r->o);
        for (size_t i = 0; i < OUTPUTS; i++)
                free(r->bytes[i]);
        *r = (struct result){};
}

static void give_files(int sock, const json_t *m, void *userdata) {
        int fds[16], n = (int) json_integer_value(json_object_get(m, "n"));
        json_t *answer;

        if (!g_str_equal(wire_type(m), "outputs"))
                return;
        assert_in_range(n, 1, 16);
        for (int i = 0; i < n; i++)
                fds[i] = memfd_create("output", MFD_CLOEXEC);
        answer = json_pack("{s:s, s:[s]}", "type", "outputs", "fds", "object");
        (void) wire_send(sock, answer, fds, (size_t) n);
        json_decref(answer);
        while (n > 0)
                (void) close(fds[--n]);
}

static int open_source(const struct job *j) {
        g_autoptr(GByteArray) source = j->source();
        int p[2], fd = bytes_memfd(source);

        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        if (!j->pipe)
                return fd;
        (void) close(fd);
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_true(fcntl(p[1], F_SETPIPE_SZ, 1 << 20) >= (int) source->len);
        assert_int_equal(write_all(p[1], source->data, source->len), 0);
        (void) close(p[1]);
        return p[0];
}

static json_t *launch_of(const struct job *j) {
        g_auto(GStrv) parts = g_strsplit(j->launch, "DIR", -1);
        g_autofree char *text = g_strjoinv(directory, parts);
        json_t *launch = json_loads(text, 0, NULL);

        assert_non_null(launch);
        return launch;
}

static int open_given(const char *name) {
        return strcmp(name, "modules") == 0 ? open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC)
                                            : memfd_create(name, MFD_CLOEXEC);
}

static void run_job(const struct job *j, struct result *r) {
        int fds[1 + OUTPUTS] = {open_source(j), -1, -1};

        for (size_t i = 1; j->names[i]; i++)
                fds[i] = open_given(j->names[i]);
        r->o = worker_run_asking(launch_of(j), j->names, fds, give_files, NULL);
        for (size_t i = 1; j->names[i]; i++)
                if (strcmp(j->names[i], "modules") != 0)
                        assert_int_equal(read_file(fds[i], 1 << 24, &r->bytes[i - 1], &r->len[i - 1]), 0);
        for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
                (void) close_fd(fds[i]);
}

/* ---- The walk ---- */

static void same_bytes(const struct job *j, int n) {
        if (j->varies)
                return;
        for (size_t i = 0; i < OUTPUTS; i++)
                if (result.len[i] != wanted.len[i] ||
                        (result.len[i] > 0 && memcmp(result.bytes[i], wanted.bytes[i], result.len[i]) != 0))
                        complain("%s, call %d: it says that it is done, and %s is another one", j->what, n,
                                j->names[i + 1]);
}

/* A disk that is full or broken is no damage of the image's. */
static void named(const struct job *j, int n, int error) {
        const char *name = text_of(&result.o, "error"), *message = text_of(&result.o, "message");
        bool full = error == ENOSPC || error == EDQUOT;

        if (!strstr(message, g_strerror(error)) || full != g_str_equal(name, FAILURE_SPACE) ||
                g_str_equal(name, FAILURE_UNSUPPORTED) || g_str_equal(name, FAILURE_DIGEST) ||
                g_str_equal(name, FAILURE_SPEC) || g_str_equal(name, FAILURE_NOT_SUPPORTED) ||
                g_str_equal(name, FAILURE_TOOL))
                complain("%s, call %d fails with \"%s\": %s: %s", j->what, n, g_strerror(error), name, message);
}

static void judge(const struct job *j, int n, int error) {
        if (!result.o.last) {
                /* It could not even connect, and the unit's start fails. */
                if (!WIFEXITED(result.o.status) || WEXITSTATUS(result.o.status) != 1 || n != 1 ||
                        faults->call != FAULT_ANY_DESCRIPTOR)
                        complain("%s, call %d: no word, status %x", j->what, n, (unsigned) result.o.status);
                return;
        }
        /* One without its descriptors has no job, and is a unit that failed. */
        if (result.o.status != 0 && (faults->call != FAULT_ANY_DESCRIPTOR || n != 2 || result.o.status != 1 << 8))
                complain("%s, call %d: status %x", j->what, n, (unsigned) result.o.status);
        if (g_str_equal(text_of(&result.o, "type"), "done"))
                same_bytes(j, n);
        else
                named(j, n, error);
}

static void walk(
        const struct job *j, enum fault_call call, const char *name, const char *prefix, int error, bool forever) {
        int n = 0, done = 0;
        bool fired;

        faults_below(faults, prefix);
        run_job(j, &wanted);
        assert_done(&wanted.o);
        do {
                faults_arm(faults, call, error, ++n, forever);
                run_job(j, &result);
                fired = faults->fired;
                judge(j, n, error);
                faults_disarm(faults);
                done += result.o.last && g_str_equal(text_of(&result.o, "type"), "done");
                result_clear(&result);
        } while (fired);
        result_clear(&wanted);
        print_message("%s, %s of %s: each of %d calls failed%s with %s, done all the same %d times\n", j->what, name,
                prefix, n - 1, forever ? " for ever" : "", g_strerror(error), done - 1);
}

/* Of the jobs whose letter is in which; with MCP_SOAK of all. */
static void walk_jobs(
        const char *which, enum fault_call call, const char *name, const char *prefix, int error, bool forever) {
        for (size_t i = 0; i < G_N_ELEMENTS(jobs); i++)
                if (jobs[i].letter == 'f' && access(MKFS, X_OK) < 0)
                        print_message("%s is not there\n", MKFS);
                else if (is_soak() || strchr(which, jobs[i].letter))
                        walk(&jobs[i], call, name, prefix, error, forever);
}

static void test_output(void **state) {
        walk_jobs("eivt", FAULT_WRITE, "write", "/memfd:output", ENOSPC, false);
        walk_jobs("eoit", FAULT_FSYNC, "fsync", "/memfd:output", EIO, false);
        walk_jobs("eopd", FAULT_WRITE, "write", "/memfd:archive", ENOSPC, false);
        walk_jobs("o", FAULT_FSYNC, "fsync", "/memfd:archive", EDQUOT, false);
        assert_no_complaints();
}

static void test_spool(void **state) {
        walk(&jobs[1], FAULT_WRITE, "write", "/var/tmp", ENOSPC, false);
        walk(&jobs[2], FAULT_WRITE, "write", "/var/tmp", EIO, false);
        walk(&jobs[1], FAULT_CREATE, "create", "/", ENOSPC, true);
        walk(&jobs[1], FAULT_READ, "read", "/var/tmp", EIO, false);
        assert_no_complaints();
}

static void test_source(void **state) {
        walk_jobs("eodvt", FAULT_READ, "read", "/memfd:source", EIO, false);
        walk_jobs("vi", FAULT_READ, "read", directory, EIO, false);
        walk_jobs("vi", FAULT_OPEN, "open", directory, EIO, false);
        assert_no_complaints();
}

static void test_descriptors(void **state) {
        walk_jobs("eopvitf", FAULT_ANY_DESCRIPTOR, "descriptors", "/", EMFILE, false);
        assert_no_complaints();
}

/* ---- */

static void make_file(const char *name, const char *text) {
        g_autofree char *file = g_build_filename(directory, name, NULL);

        if (!g_file_set_contents(file, text, -1, NULL))
                abort();
}

static int group_setup(void **state) {
        g_autofree char *below = NULL;

        directory = g_dir_make_tmp("mcp-faults-XXXXXX", NULL);
        below = g_build_filename(directory, "kernel", NULL);
        if (mkdir(below, 0700) < 0)
                return -1;
        make_file("modules.dep", "kernel/a.ko:\n");
        make_file("modules.builtin", "");
        make_file("kernel/a.ko", "\177ELF pretends to be a module");
        faults_load(FAULT_PRELOAD, path);
        return 0;
}

static int group_teardown(void **state) {
        static const char *const files[] = {"kernel/a.ko", "modules.dep", "modules.builtin", "kernel", ""};

        faults_unload();
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
                g_autofree char *file = g_build_filename(directory, files[i], NULL);

                (void) g_remove(file);
        }
        g_free(directory);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_output),
                cmocka_unit_test(test_spool),
                cmocka_unit_test(test_source),
                cmocka_unit_test(test_descriptors),
        };
        int fd = mkstemp(path), r;

        if (fd < 0)
                return EXIT_FAILURE;
        (void) close(fd);
        faults = faults_new(path, "/");
        r = cmocka_run_group_tests(tests, group_setup, group_teardown);
        faults_free(faults);
        (void) unlink(path);
        return r;
}
