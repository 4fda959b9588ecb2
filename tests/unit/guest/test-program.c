/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a program is looked for, what its first bytes say, and the words when it cannot run. */
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/program.h"
#include "shared/fd.h"

static char directory[] = "/tmp/test-program-XXXXXX";

static void places(const char *name, const char *path, size_t size, char *out) {
        char buf[64];

        *out = 0;
        while (program_next_place(name, &path, buf, size)) {
                (void) strcat(out, buf);
                (void) strcat(out, ";");
        }
}

static void test_places(void **state) {
        static const struct {
                const char *name, *path, *places;
        } cases[] = {
                {"sh", "/bin", "/bin/sh;"},
                {"sh", "/usr/bin:/bin", "/usr/bin/sh;/bin/sh;"},
                {"sh", "", "./sh;"},
                {"sh", ":/bin", "./sh;/bin/sh;"},
                {"sh", "/bin:", "/bin/sh;./sh;"},
                {"sh", "/a::/b", "/a/sh;./sh;/b/sh;"},
                {"sh", "rel:/b", "rel/sh;/b/sh;"},
                {"/bin/sh", "/usr/bin:/bin", "/bin/sh;"},
                {"./sh", "/bin", "./sh;"},
                {"sub/sh", "", "sub/sh;"},
        };
        char out[256];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                places(cases[i].name, cases[i].path, 64, out);
                assert_string_equal(out, cases[i].places);
        }
        places("sh", "/much/too/long:/bin:/also/too/long", 8, out);
        assert_string_equal(out, "/bin/sh;");
        places("/much/too/long", "/bin", 8, out);
        assert_string_equal(out, "");
}

static void test_scripts(void **state) {
        static const struct {
                const char *head, *interpreter;
        } cases[] = {
                {"#!/bin/sh\necho", "/bin/sh"},
                {"#! \t/usr/bin/env perl\n", "/usr/bin/env"},
                {"#!/bin/sh\r\n", "/bin/sh\r"},
                {"#!", ""},
                {"#!/bin/cut", "/bin/cut"},
                {"#!   ", ""},
                {"#!\n", ""},
        };
        struct program p;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                program_describe((const uint8_t *) cases[i].head, strlen(cases[i].head), &p);
                assert_int_equal(p.kind, PROGRAM_SCRIPT);
                assert_string_equal(p.interpreter, cases[i].interpreter);
        }
}

/* The head of a dynamic 64 bit ELF, in exactly len bytes. */
static uint8_t *elf(size_t len, uint64_t phoff, uint16_t phnum, uint64_t offset, uint64_t size) {
        Elf64_Ehdr e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
                .e_machine = EM_X86_64,
                .e_phoff = phoff,
                .e_phnum = phnum};
        Elf64_Phdr p = {.p_type = PT_INTERP, .p_offset = offset, .p_filesz = size};
        uint8_t *head = calloc(1, len > 0 ? len : 1);

        assert_non_null(head);
        memcpy(head, &e, len < sizeof(e) ? len : sizeof(e));
        if (phoff <= len && len - phoff >= sizeof(p))
                memcpy(head + phoff, &p, sizeof(p));
        if (offset < len)
                memcpy(head + offset, "/ld", len - offset < 4 ? len - offset : 4);
        return head;
}

static void assert_interpreter(
        size_t len, uint64_t phoff, uint16_t phnum, uint64_t offset, uint64_t size, const char *text) {
        uint8_t *head = elf(len, phoff, phnum, offset, size);
        struct program p;

        program_describe(head, len, &p);
        assert_int_equal(p.kind, PROGRAM_ELF);
        assert_int_equal(p.machine, EM_X86_64);
        assert_string_equal(p.interpreter, text);
        free(head);
}

static void test_elf(void **state) {
        assert_interpreter(256, 64, 1, 200, 4, "/ld");
        assert_interpreter(204, 64, 1, 200, 4, "/ld");
        assert_interpreter(203, 64, 1, 200, 4, "");
        assert_interpreter(256, 64, 0, 200, 4, "");
        assert_interpreter(256, 64, UINT16_MAX, 200, 4, "/ld");
        assert_interpreter(256, 64, 1, 200, UINT64_MAX, "");
        assert_interpreter(256, 64, 1, UINT64_MAX, 4, "");
        assert_interpreter(256, 64, 1, UINT64_MAX - 2, 4, "");
        assert_interpreter(256, UINT64_MAX, 1, 200, 4, "");
        assert_interpreter(256, UINT64_MAX - 20, 1, 200, 4, "");
        assert_interpreter(256, 250, 1, 200, 4, "");
        assert_interpreter(64, 64, 1, 200, 4, "");
        assert_interpreter(4096, 64, 1, 200, 3000, "/ld");
}

static void test_other_bytes(void **state) {
        struct program p;
        uint8_t *head;

        program_describe((const uint8_t *) "", 0, &p);
        assert_int_equal(p.kind, PROGRAM_OTHER);
        program_describe((const uint8_t *) "#", 1, &p);
        assert_int_equal(p.kind, PROGRAM_OTHER);
        program_describe((const uint8_t *) "plain text, no program", 22, &p);
        assert_int_equal(p.kind, PROGRAM_OTHER);
        for (size_t len = 0; len <= sizeof(Elf64_Ehdr); len++) {
                head = elf(len, 64, 1, 200, 4);
                program_describe(head, len, &p);
                assert_int_equal(p.kind, len < EI_NIDENT ? PROGRAM_OTHER : PROGRAM_ELF);
                assert_int_equal(p.machine, len < sizeof(Elf64_Ehdr) ? 0 : EM_X86_64);
                free(head);
        }
        head = elf(256, 64, 1, 200, 4);
        head[EI_DATA] = ELFDATA2MSB;
        program_describe(head, 256, &p);
        assert_int_equal(p.kind, PROGRAM_ELF);
        assert_int_equal(p.machine, 0);
        head[EI_DATA] = ELFDATA2LSB;
        head[EI_CLASS] = 9;
        program_describe(head, 256, &p);
        assert_int_equal(p.machine, 0);
        free(head);
}

static void test_elf32(void **state) {
        struct {
                Elf32_Ehdr e;
                Elf32_Phdr p;
                char interpreter[8];
        } head = {.e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB},
                          .e_machine = EM_386,
                          .e_phoff = sizeof(Elf32_Ehdr),
                          .e_phnum = 1},
                .p = {.p_type = PT_INTERP, .p_offset = sizeof(Elf32_Ehdr) + sizeof(Elf32_Phdr), .p_filesz = 8},
                .interpreter = "/ld32"};
        struct program p;

        program_describe((const uint8_t *) &head, sizeof(head), &p);
        assert_int_equal(p.machine, EM_386);
        assert_string_equal(p.interpreter, "/ld32");
        program_describe((const uint8_t *) &head, sizeof(Elf32_Ehdr) - 1, &p);
        assert_int_equal(p.machine, 0);
}

static const char *put(const char *name, const void *data, size_t len, mode_t mode) {
        static char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write_all(fd, data, len), 0);
        assert_int_equal(fchmod(fd, mode), 0);
        (void) close(fd);
        return path;
}

/* Executes it in a child and compares the words. */
static void assert_refused(const char *program, const char *path, int error, const char *words) {
        char variable[256], name[256];
        char *const args[] = {name, NULL}, *const environment[] = {variable, NULL};
        struct failure f = {};

        (void) snprintf(name, sizeof(name), "%s", program);
        (void) snprintf(variable, sizeof(variable), "PATH=%s", path);
        assert_int_equal(program_execute(args, environment, &f), error);
        assert_contains(f.text, words);
}

static void test_refused(void **state) {
        uint8_t *dynamic = elf(256, 64, 1, 200, 4), *foreign = elf(256, 64, 1, 200, 4);
        char path[300];

        foreign[EI_DATA] = ELFDATA2MSB;
        assert_refused("nosuch", directory, -ENOENT, "'nosuch' is in no directory of PATH (");
        assert_refused("/nonexistent/x", "", -ENOENT, "/nonexistent/x: is not in the image");
        assert_refused(put("text", "hello\n", 6, 0755), "", -ENOEXEC, "neither an ELF program nor a script");
        assert_refused(put("empty", "", 0, 0755), "", -ENOEXEC, "neither an ELF program nor a script");
        assert_refused(put("foreign", foreign, 256, 0755), "", -ENOEXEC, "is an ELF for another machine");
        assert_refused(put("script", "#!/nonexistent/sh\n", 18, 0755), "", -ENOENT, "'/nonexistent/sh', is not in");
        assert_refused(put("dos", "#!/bin/sh\r\n", 11, 0755), "", -ENOENT, "carriage return");
        assert_refused(put("mode", "#!/bin/sh\n", 10, 0644), "", -EACCES, "is not executable (mode 0644)");
        assert_refused(directory, "", -EACCES, "is a directory");
        assert_refused("/dev/null", "", -EACCES, "is not a regular file");
        /* What is denied in one directory is looked for in the next. */
        (void) snprintf(path, sizeof(path), "%s:/nonexistent", directory);
        assert_refused("mode", path, -EACCES, "is not executable");
        /* What is there but broken is not passed over. */
        assert_refused("script", path, -ENOENT, "'/nonexistent/sh', is not in");
        free(dynamic);
        free(foreign);
}

static void test_explain_dynamic(void **state) {
        uint8_t *dynamic = elf(256, 64, 1, 200, 4);
        struct failure f;

        assert_int_equal(program_explain(put("dynamic", dynamic, 256, 0755), -ENOENT, &f), -ENOENT);
        assert_contains(f.text, "its dynamic linker '/ld' is not in the image");
#if defined(__x86_64__)
        assert_int_equal(program_explain(put("broken", dynamic, 256, 0755), -ENOEXEC, &f), -ENOEXEC);
        assert_contains(f.text, "is a broken ELF file");
#endif
        assert_int_equal(program_explain(put("other", "x", 1, 0755), -E2BIG, &f), -E2BIG);
        assert_contains(f.text, "Argument list too long");
        free(dynamic);
}

static void test_execute(void **state) {
        char path[300], name[] = "good";
        char *const args[] = {name, NULL}, *const environment[] = {path, NULL};
        struct failure f;
        int status;
        pid_t pid;

        (void) put("good", "#!/bin/sh\nexit 42\n", 18, 0755);
        (void) snprintf(path, sizeof(path), "PATH=/nonexistent:%s", directory);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) program_execute(args, environment, &f);
                _exit(1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 42);
}

static int set_up(void **state) {
        return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state) {
        char command[64];

        (void) snprintf(command, sizeof(command), "rm -rf %s", directory);
        return system(command);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_places),
                cmocka_unit_test(test_scripts),
                cmocka_unit_test(test_elf),
                cmocka_unit_test(test_other_bytes),
                cmocka_unit_test(test_elf32),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_explain_dynamic),
                cmocka_unit_test(test_execute),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
