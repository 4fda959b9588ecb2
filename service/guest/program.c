/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program of the image: where it is, and why it cannot be executed. The kernel says ENOENT for a program whose
 * dynamic linker is missing and ENOEXEC for one of another machine; who sees only that looks in the wrong place. */
#include "guest/program.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest/environment.h"
#include "shared/fd.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#elif defined(__arm__)
#define MACHINE EM_ARM
#elif defined(__i386__)
#define MACHINE EM_386
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__s390x__)
#define MACHINE EM_S390
#elif defined(__mips__)
#define MACHINE EM_MIPS
#else
#error "name this machine's ELF number here"
#endif

bool program_next_place(const char *name, const char **path, char *buf, size_t size) {
        if (strchr(name, '/')) {
                bool first = *path;

                *path = NULL;
                return first && (size_t) snprintf(buf, size, "%s", name) < size;
        }
        while (*path) {
                size_t len = strcspn(*path, ":");
                int n = snprintf(buf, size, "%.*s%s%s", (int) len, *path, len > 0 ? "/" : "./", name);

                *path = (*path)[len] ? *path + len + 1 : NULL;
                if (n >= 0 && (size_t) n < size)
                        return true;
        }
        return false;
}

static void copy_text(char *ret, size_t size, const uint8_t *p, size_t len) {
        if (len >= size)
                len = size - 1;
        memcpy(ret, p, len);
        ret[len] = 0;
}

static void describe_script(const uint8_t *head, size_t len, struct program *ret) {
        size_t start = 2, end;

        ret->kind = PROGRAM_SCRIPT;
        while (start < len && (head[start] == ' ' || head[start] == '\t'))
                start++;
        /* A carriage return stays in: for the kernel it is part of the name, too. */
        for (end = start; end < len && head[end] != ' ' && head[end] != '\t' && head[end] != '\n' && head[end] != 0;)
                end++;
        copy_text(ret->interpreter, sizeof(ret->interpreter), head + start, end - start);
}

static void set_interpreter(const uint8_t *head, size_t len, uint64_t offset, uint64_t size, struct program *ret) {
        if (offset >= len || size > len - offset)
                return;
        copy_text(ret->interpreter, sizeof(ret->interpreter), head + offset, (size_t) size);
}

static void describe_elf64(const uint8_t *head, size_t len, struct program *ret) {
        Elf64_Ehdr e;
        Elf64_Phdr p;

        if (len < sizeof(e))
                return;
        memcpy(&e, head, sizeof(e));
        ret->machine = e.e_machine;
        for (size_t i = 0; i < e.e_phnum && e.e_phoff < len && len - e.e_phoff >= (i + 1) * sizeof(p); i++) {
                memcpy(&p, head + e.e_phoff + i * sizeof(p), sizeof(p));
                if (p.p_type == PT_INTERP)
                        set_interpreter(head, len, p.p_offset, p.p_filesz, ret);
        }
}

static void describe_elf32(const uint8_t *head, size_t len, struct program *ret) {
        Elf32_Ehdr e;
        Elf32_Phdr p;

        if (len < sizeof(e))
                return;
        memcpy(&e, head, sizeof(e));
        ret->machine = e.e_machine;
        for (size_t i = 0; i < e.e_phnum && e.e_phoff < len && len - e.e_phoff >= (i + 1) * sizeof(p); i++) {
                memcpy(&p, head + e.e_phoff + i * sizeof(p), sizeof(p));
                if (p.p_type == PT_INTERP)
                        set_interpreter(head, len, p.p_offset, p.p_filesz, ret);
        }
}

void program_describe(const uint8_t *head, size_t len, struct program *ret) {
        uint8_t order = BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;

        *ret = (struct program){.kind = PROGRAM_OTHER};
        if (len >= 2 && memcmp(head, "#!", 2) == 0)
                describe_script(head, len, ret);
        if (len < EI_NIDENT || memcmp(head, ELFMAG, SELFMAG) != 0)
                return;
        ret->kind = PROGRAM_ELF;
        /* One of the other byte order is of another machine (machine 0); more need not be known of it. */
        if (head[EI_DATA] != order)
                return;
        if (head[EI_CLASS] == ELFCLASS64)
                describe_elf64(head, len, ret);
        else if (head[EI_CLASS] == ELFCLASS32)
                describe_elf32(head, len, ret);
}

static int look_at(const char *file, struct program *ret) {
        _cleanup_close_ int fd = -1;
        uint8_t head[PROGRAM_HEAD_MAX];
        ssize_t n;

        fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return -errno;
        n = pread(fd, head, sizeof(head), 0);
        if (n < 0)
                return -errno;
        program_describe(head, (size_t) n, ret);
        return 0;
}

static int explain_missing(const char *file, const struct program *program, struct failure *failure) {
        size_t len = strlen(program->interpreter);

        if (program->kind == PROGRAM_SCRIPT && len > 0 && program->interpreter[len - 1] == '\r')
                return failure_set(
                        failure, -ENOENT, "%s: its #! line ends with a carriage return (DOS line ends)", file);
        if (program->kind == PROGRAM_SCRIPT)
                return failure_set(failure, -ENOENT, "%s: the interpreter of its #! line, '%s', is not in the image",
                        file, program->interpreter);
        if (program->kind == PROGRAM_ELF)
                return failure_set(failure, -ENOENT,
                        "%s: its dynamic linker '%s' is not in the image; link it statically or add its libraries",
                        file, program->interpreter);
        return failure_set_errno(failure, -ENOENT, "%s", file);
}

static int explain_format(const char *file, const struct program *program, struct failure *failure) {
        if (program->kind == PROGRAM_ELF && program->machine != MACHINE)
                return failure_set(failure, -ENOEXEC, "%s: is an ELF for another machine (number %u, this one is %u)",
                        file, program->machine, MACHINE);
        if (program->kind == PROGRAM_ELF)
                return failure_set(failure, -ENOEXEC, "%s: is a broken ELF file", file);
        return failure_set(failure, -ENOEXEC, "%s: is neither an ELF program nor a script with a #! line", file);
}

static int explain_access(const char *file, const struct stat *st, struct failure *failure) {
        if (S_ISDIR(st->st_mode))
                return failure_set(failure, -EACCES, "%s: is a directory, not a program", file);
        if (!S_ISREG(st->st_mode))
                return failure_set(failure, -EACCES, "%s: is not a regular file", file);
        if ((st->st_mode & 0111) == 0)
                return failure_set(failure, -EACCES, "%s: is not executable (mode %04o)", file, st->st_mode & 07777);
        return failure_set_errno(failure, -EACCES, "%s (mode %04o)", file, st->st_mode & 07777);
}

int program_explain(const char *file, int error, struct failure *failure) {
        struct program program = {};
        struct stat st;

        if (stat(file, &st) < 0)
                return error == -ENOENT ? failure_set(failure, error, "%s: is not in the image", file)
                                        : failure_set_errno(failure, error, "%s", file);
        if (error == -EACCES)
                return explain_access(file, &st, failure);
        if (look_at(file, &program) < 0)
                return failure_set_errno(failure, error, "%s", file);
        if (error == -ENOENT)
                return explain_missing(file, &program, failure);
        if (error == -ENOEXEC)
                return explain_format(file, &program, failure);
        return failure_set_errno(failure, error, "%s", file);
}

int program_execute(char *const *args, char *const *environment, struct failure *failure) {
        const char *path = environment_get(environment, "PATH"), *rest = path ? path : "";
        char place[PATH_MAX], denied[PATH_MAX] = "";
        struct stat st;

        while (program_next_place(args[0], &rest, place, sizeof(place))) {
                int r;

                (void) execve(place, args, environment);
                r = -errno;
                /* Like execvp(): what is missing or not for us there may be somewhere else. */
                if (r == -EACCES) {
                        if (!denied[0])
                                (void) snprintf(denied, sizeof(denied), "%s", place);
                } else if ((r != -ENOENT && r != -ENOTDIR) || stat(place, &st) == 0)
                        return program_explain(place, r, failure);
        }
        if (denied[0])
                return program_explain(denied, -EACCES, failure);
        if (strchr(args[0], '/'))
                return program_explain(args[0], -ENOENT, failure);
        return failure_set(failure, -ENOENT, "'%s' is in no directory of PATH (%s) in the image", args[0], path);
}
