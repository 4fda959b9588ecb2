/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF headers built by hand, and every way to break them. */
#include "unit.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "worker/elf-check.h"

/* A program of one loaded segment; segments 1 and 2 are free for a test. */
struct image {
        Elf64_Ehdr head;
        Elf64_Phdr segments[3];
        Elf64_Dyn dynamic[5];
        char strings[64];
};

static struct image good(void) {
        struct image i = {
                .head = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                        .e_type = ET_EXEC,
                        .e_machine = EM_X86_64,
                        .e_version = EV_CURRENT,
                        .e_entry = 0x400100,
                        .e_phoff = sizeof(Elf64_Ehdr),
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = 1},
        };
        i.segments[0] =
                (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = 0x400000, .p_filesz = sizeof i, .p_memsz = sizeof i + 100};
        return i;
}

static int read_image(void *user, uint64_t offset, void *buf, size_t len) {
        memcpy(buf, (const char *) user + offset, len);
        return 0;
}

static int check_size(struct image *i, size_t size, const char *architecture, struct failure *f) {
        struct elf_source source = {.read = read_image, .user = i, .size = size};

        return elf_check(&source, architecture, f);
}

static void accepted(struct image i) {
        struct failure f = {};
        int r = check_size(&i, sizeof i, "x86_64", &f);

        if (r != 0)
                fail_msg("%s", f.message);
}

static void refused(struct image i, const char *why) {
        struct failure f = {};

        assert_int_equal(check_size(&i, sizeof i, "x86_64", &f), -ENOEXEC);
        assert_failure(&f, FAILURE_UNSUPPORTED, why);
}

static void test_good(void **state) {
        struct image i = good();

        accepted(i);
        /* Static-pie: position independent, with a dynamic section that needs nothing. */
        i.head.e_type = ET_DYN;
        i.head.e_phnum = 2;
        i.segments[1] = (Elf64_Phdr){
                .p_type = PT_DYNAMIC, .p_offset = offsetof(struct image, dynamic), .p_filesz = sizeof i.dynamic};
        i.dynamic[0].d_tag = DT_FLAGS;
        accepted(i);
}

static void test_cut_off(void **state) {
        struct image i = good();
        struct failure f = {};

        for (size_t size = 0; size < sizeof i; size++) {
                assert_int_equal(check_size(&i, size, "x86_64", &f), -ENOEXEC);
                assert_failure(&f, FAILURE_UNSUPPORTED, "ELF program refused");
        }
}

static void test_ident(void **state) {
        struct image i = good();

        i.head.e_ident[1] = 'X';
        refused(i, "no ELF magic");
        i = good();
        i.head.e_ident[EI_CLASS] = 3;
        refused(i, "neither a 32-bit nor a 64-bit");
        i = good();
        i.head.e_ident[EI_DATA] = 0;
        refused(i, "byte order");
        i = good();
        i.head.e_ident[EI_VERSION] = 2;
        refused(i, "version");
}

static void test_machine(void **state) {
        struct image i = good();
        struct failure f = {};

        i.head.e_machine = EM_AARCH64;
        refused(i, "it is for aarch64 (machine 183), this image is for x86_64");
        assert_int_equal(check_size(&i, sizeof i, "aarch64", &f), 0);
        i.head.e_machine = 0x1234;
        refused(i, "it is for another machine");
        assert_int_equal(check_size(&i, sizeof i, "vax", &f), -EINVAL);
        assert_failure(&f, FAILURE_SPEC, "vax");
        /* x32: the machine of x86_64, 32-bit words. */
        i = good();
        i.head.e_ident[EI_CLASS] = ELFCLASS32;
        refused(i, "this image is for x86_64");
}

static void test_type(void **state) {
        struct image i = good();

        i.head.e_type = ET_REL;
        refused(i, "object file");
        i.head.e_type = ET_CORE;
        refused(i, "core dump");
        i.head.e_type = 99;
        refused(i, "type");
        i = good();
        i.head.e_entry = 0;
        refused(i, "entry point");
}

static void test_program_headers(void **state) {
        struct image i = good();

        i.head.e_phnum = 0;
        refused(i, "no program headers");
        i.head.e_phnum = 600;
        refused(i, "512 program headers");
        i.head.e_phnum = 100;
        refused(i, "ends inside the program headers");
        i = good();
        i.head.e_phentsize = 55;
        refused(i, "unknown size");
        i = good();
        i.head.e_phoff = 8;
        refused(i, "over the ELF header");
        i.head.e_phoff = UINT64_MAX - 8;
        refused(i, "ends inside the program headers");
        i.head.e_phoff = sizeof i;
        refused(i, "ends inside the program headers");
}

static void test_segments(void **state) {
        struct image i = good();

        i.segments[0].p_type = PT_NOTE;
        refused(i, "no segment to load");
        i = good();
        i.segments[0].p_filesz++;
        refused(i, "outside the file");
        i = good();
        i.segments[0].p_offset = UINT64_MAX;
        refused(i, "outside the file");
        i = good();
        i.segments[0].p_memsz = 1;
        refused(i, "outside the file");
}

static struct image dynamic_program(void) {
        struct image i = good();

        i.head.e_phnum = 3;
        memcpy(i.strings, "/lib64/ld.so\0libc.so.6\0libm.so.6", sizeof "/lib64/ld.so\0libc.so.6\0libm.so.6");
        i.segments[1] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = offsetof(struct image, strings), .p_filesz = 13};
        i.segments[2] = (Elf64_Phdr){
                .p_type = PT_DYNAMIC, .p_offset = offsetof(struct image, dynamic), .p_filesz = sizeof i.dynamic};
        i.dynamic[0] = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = 13};
        i.dynamic[1] = (Elf64_Dyn){.d_tag = DT_NEEDED, .d_un.d_val = 23};
        i.dynamic[2] = (Elf64_Dyn){.d_tag = DT_STRTAB, .d_un.d_val = 0x400000 + offsetof(struct image, strings)};
        return i;
}

static void test_dynamic(void **state) {
        struct image i = dynamic_program();

        refused(i, "wants the interpreter /lib64/ld.so and needs libc.so.6, libm.so.6 and a single file");
        refused(i, "import an OCI image");
        i.dynamic[2].d_un.d_val = UINT64_MAX;
        refused(i, "wants the interpreter /lib64/ld.so and a single file");
        i = dynamic_program();
        i.dynamic[0].d_un.d_val = UINT64_MAX;
        refused(i, "needs libm.so.6 and");
        i.segments[2].p_offset = UINT64_MAX;
        refused(i, "wants the interpreter /lib64/ld.so and a single file");
        i.segments[1].p_offset = UINT64_MAX;
        refused(i, "it is dynamic and a single file");
        /* A library of libraries has no interpreter. */
        i = dynamic_program();
        i.segments[1].p_type = PT_NULL;
        refused(i, "it is dynamic and needs libc.so.6");
        i.dynamic[3] = i.dynamic[4] = i.dynamic[0];
        refused(i, "libc.so.6, libm.so.6, libc.so.6 and 1 more");
}

static void test_big_endian(void **state) {
        Elf64_Ehdr h = good().head;
        struct elf_source source = {.read = read_image, .user = &h, .size = sizeof h};
        struct failure f = {};

        h.e_ident[EI_DATA] = ELFDATA2MSB;
        h.e_machine = (uint16_t) (EM_S390 << 8);
        h.e_type = (uint16_t) (ET_REL << 8);
        assert_int_equal(elf_check(&source, "s390x", &f), -ENOEXEC);
        assert_failure(&f, FAILURE_UNSUPPORTED, "object file");
}

static void test_names(void **state) {
        assert_string_equal(architecture_oci("x86_64"), "amd64");
        assert_string_equal(architecture_oci("aarch64"), "arm64");
        assert_null(architecture_oci("amd64"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_cut_off),
                cmocka_unit_test(test_ident),
                cmocka_unit_test(test_machine),
                cmocka_unit_test(test_type),
                cmocka_unit_test(test_program_headers),
                cmocka_unit_test(test_segments),
                cmocka_unit_test(test_dynamic),
                cmocka_unit_test(test_big_endian),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
