/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ELF headers: magic, class, byte order, machine, type, program headers, no interpreter. */
#include "worker/elf-check.h"

#include <elf.h>
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define PHDRS_MAX 512U    /* program headers looked at; real programs have about ten */
#define DYNAMIC_MAX 4096U /* entries of the dynamic section looked at */
#define NEEDED_SHOWN 3U   /* libraries named in the refusal */
#define TEXT_MAX 256U     /* bytes of an interpreter's or library's name */

static const struct machine {
        const char *name, *oci;
        uint16_t machine;
        uint8_t class, data;
} machines[] = {
        {"x86_64", "amd64", EM_X86_64, ELFCLASS64, ELFDATA2LSB},
        {"aarch64", "arm64", EM_AARCH64, ELFCLASS64, ELFDATA2LSB},
        {"riscv64", "riscv64", EM_RISCV, ELFCLASS64, ELFDATA2LSB},
        {"ppc64le", "ppc64le", EM_PPC64, ELFCLASS64, ELFDATA2LSB},
        {"mips", "mips", EM_MIPS, ELFCLASS32, ELFDATA2MSB},
        {"s390x", "s390x", EM_S390, ELFCLASS64, ELFDATA2MSB},
        {"i386", "386", EM_386, ELFCLASS32, ELFDATA2LSB},
        {"arm", "arm", EM_ARM, ELFCLASS32, ELFDATA2LSB},
};

/* What both classes and byte orders boil down to. */
struct header {
        const struct elf_source *source;
        bool is64, swap;
        bool library; /* needs no entry point */
        uint16_t type, machine, phentsize, phnum;
        uint64_t entry, phoff;
};

struct segment {
        uint32_t type;
        uint64_t offset, vaddr, filesz, memsz;
};

static const struct machine *machine_by_name(const char *name) {
        for (size_t i = 0; i < G_N_ELEMENTS(machines); i++)
                if (strcmp(machines[i].name, name) == 0)
                        return &machines[i];
        return NULL;
}

const char *architecture_oci(const char *architecture) {
        const struct machine *m = machine_by_name(architecture);

        return m ? m->oci : NULL;
}

static const char *machine_name(uint16_t machine, uint8_t class) {
        for (size_t i = 0; i < G_N_ELEMENTS(machines); i++)
                if (machines[i].machine == machine && machines[i].class == class)
                        return machines[i].name;
        return "another machine";
}

static uint16_t get16(const struct header *h, const void *p) {
        uint16_t v;

        memcpy(&v, p, sizeof v);
        return h->swap ? GUINT16_SWAP_LE_BE(v) : v;
}

static uint64_t get_word(const struct header *h, const void *p, size_t size) {
        uint64_t v64;
        uint32_t v32;

        if (size == sizeof v64) {
                memcpy(&v64, p, sizeof v64);
                return h->swap ? GUINT64_SWAP_LE_BE(v64) : v64;
        }
        memcpy(&v32, p, sizeof v32);
        return h->swap ? GUINT32_SWAP_LE_BE(v32) : v32;
}

/* A member of a header that has the same name in both classes. */
#define FIELD(h, buf, type, member)                                                                                    \
        ((h)->is64 ? get_word((h), (buf) + offsetof(Elf64_##type, member), sizeof(((Elf64_##type *) 0)->member))       \
                   : get_word((h), (buf) + offsetof(Elf32_##type, member), sizeof(((Elf32_##type *) 0)->member)))

static int read_at(const struct elf_source *s, uint64_t offset, void *buf, size_t len) {
        if (len > s->size || offset > s->size - len)
                return -ENOEXEC;
        return s->read(s->user, offset, buf, len);
}

static int unsupported(struct failure *f, const char *why) {
        return failf(f, -ENOEXEC, FAILURE_UNSUPPORTED, "ELF program refused: %s", why);
}

/* What a host's disk does not give is no flaw of the program. */
static int unread(struct failure *f, int r, const char *why) {
        return failure_is_hosts(r) ? fail_errno(f, r, "reading the program") : unsupported(f, why);
}

static int read_ident(struct header *h, const struct elf_source *s, const struct machine *want, struct failure *f) {
        unsigned char ident[EI_NIDENT];
        uint16_t word;
        int r;

        r = read_at(s, 0, ident, sizeof ident);
        if (r < 0)
                return unread(f, r, "the file ends inside the ELF header");
        if (memcmp(ident, ELFMAG, SELFMAG) != 0)
                return unsupported(f, "no ELF magic");
        if (ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64)
                return unsupported(f, "neither a 32-bit nor a 64-bit ELF");
        if (ident[EI_DATA] != ELFDATA2LSB && ident[EI_DATA] != ELFDATA2MSB)
                return unsupported(f, "unknown byte order");
        if (ident[EI_VERSION] != EV_CURRENT)
                return unsupported(f, "unknown ELF version");
        *h = (struct header){.source = s, .is64 = ident[EI_CLASS] == ELFCLASS64};
        h->swap = (ident[EI_DATA] == ELFDATA2LSB) != (G_BYTE_ORDER == G_LITTLE_ENDIAN);

        r = read_at(s, EI_NIDENT + 2, &word, sizeof word);
        if (r < 0)
                return unread(f, r, "the file ends inside the ELF header");
        h->machine = get16(h, &word);
        if (h->machine != want->machine || ident[EI_CLASS] != want->class || ident[EI_DATA] != want->data)
                return failf(f, -ENOEXEC, FAILURE_UNSUPPORTED,
                        "ELF program refused: it is for %s (machine %u), this image is for %s",
                        machine_name(h->machine, ident[EI_CLASS]), h->machine, want->name);
        return 0;
}

static int read_header(struct header *h, struct failure *f) {
        char buf[sizeof(Elf64_Ehdr)];
        size_t size = h->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
        size_t phsize = h->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
        int r;

        r = read_at(h->source, 0, buf, size);
        if (r < 0)
                return unread(f, r, "the file ends inside the ELF header");
        h->type = get16(h, buf + offsetof(Elf64_Ehdr, e_type));
        h->phentsize =
                get16(h, buf + (h->is64 ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize)));
        h->phnum = get16(h, buf + (h->is64 ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)));
        h->entry = FIELD(h, buf, Ehdr, e_entry);
        h->phoff = FIELD(h, buf, Ehdr, e_phoff);

        if (h->type == ET_REL)
                return unsupported(f, "it is an object file, not a linked program");
        if (h->type == ET_CORE)
                return unsupported(f, "it is a core dump, not a program");
        if (h->type != ET_EXEC && h->type != ET_DYN)
                return unsupported(f, "its type is neither executable nor position independent");
        if (h->entry == 0 && !h->library)
                return unsupported(f, "it has no entry point (a shared library?)");
        if (h->phnum == 0)
                return unsupported(f, "it has no program headers");
        if (h->phnum > PHDRS_MAX)
                return unsupported(f, "it has more than 512 program headers");
        if (h->phentsize != phsize)
                return unsupported(f, "its program headers have an unknown size");
        if (h->phoff < size)
                return unsupported(f, "its program headers lie over the ELF header");
        return 0;
}

static int read_segment(const struct header *h, unsigned i, struct segment *ret, struct failure *f) {
        char buf[sizeof(Elf64_Phdr)];
        uint64_t at;
        int r = -ENOEXEC;

        if (!__builtin_add_overflow(h->phoff, (uint64_t) i * h->phentsize, &at))
                r = read_at(h->source, at, buf, h->phentsize);
        if (r < 0)
                return unread(f, r, "the file ends inside the program headers (truncated?)");
        *ret = (struct segment){
                .type = (uint32_t) get_word(h, buf, sizeof(uint32_t)),
                .offset = FIELD(h, buf, Phdr, p_offset),
                .vaddr = FIELD(h, buf, Phdr, p_vaddr),
                .filesz = FIELD(h, buf, Phdr, p_filesz),
                .memsz = FIELD(h, buf, Phdr, p_memsz),
        };
        return 0;
}

static bool segment_in_file(const struct header *h, const struct segment *s) {
        return s->filesz <= h->source->size && s->offset <= h->source->size - s->filesz;
}

/* A printable name of at most TEXT_MAX bytes at offset; empty when there is none. */
static void read_text(const struct header *h, uint64_t offset, uint64_t max, char ret[TEXT_MAX]) {
        uint64_t size = h->source->size;
        size_t n;

        ret[0] = 0;
        if (offset >= size)
                return;
        n = (size_t) MIN(MIN(max, size - offset), TEXT_MAX - 1);
        if (read_at(h->source, offset, ret, n) < 0)
                n = 0;
        ret[n] = 0;
}

/* File offset of a virtual address, or UINT64_MAX. */
static uint64_t offset_of(const struct header *h, uint64_t address, struct failure *f) {
        for (unsigned i = 0; i < h->phnum; i++) {
                struct segment s;

                if (read_segment(h, i, &s, f) < 0)
                        break;
                if (s.type == PT_LOAD && segment_in_file(h, &s) && address >= s.vaddr && address - s.vaddr < s.filesz)
                        return s.offset + (address - s.vaddr);
        }
        return UINT64_MAX;
}

/* Calls each for every entry of the dynamic section until it returns false. */
static void each_dynamic(const struct header *h, const struct segment *dynamic,
        bool (*each)(void *user, int64_t tag, uint64_t value), void *user) {
        size_t size = h->is64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
        size_t word = size / 2;
        uint64_t n = segment_in_file(h, dynamic) ? MIN(dynamic->filesz / size, DYNAMIC_MAX) : 0;

        for (uint64_t i = 0; i < n; i++) {
                char buf[sizeof(Elf64_Dyn)];
                uint64_t tag;

                if (read_at(h->source, dynamic->offset + i * size, buf, size) < 0)
                        return;
                tag = get_word(h, buf, word);
                if (tag == DT_NULL || !each(user, (int64_t) tag, get_word(h, buf + word, word)))
                        return;
        }
}

struct needed {
        uint64_t *names; /* ELF_NEEDED_MAX of them */
        uint64_t strings, search;
        unsigned n, total;
        bool has_search;
};

static bool note_needed(void *user, int64_t tag, uint64_t value) {
        struct needed *needed = user;

        if (tag == DT_STRTAB)
                needed->strings = value;
        if (tag == DT_RUNPATH || (tag == DT_RPATH && !needed->has_search)) {
                needed->search = value;
                needed->has_search = true;
        }
        if (tag == DT_NEEDED) {
                if (needed->n < ELF_NEEDED_MAX)
                        needed->names[needed->n++] = value;
                needed->total++;
        }
        return true;
}

static void read_string(const struct header *h, uint64_t strings, uint64_t at, char ret[TEXT_MAX]) {
        ret[0] = 0;
        if (strings != UINT64_MAX && at <= UINT64_MAX - strings)
                read_text(h, strings + at, TEXT_MAX, ret);
}

static void note_links(
        const struct header *h, const char *interpreter, const struct needed *needed, struct elf_links *links) {
        struct failure ignored = {};
        uint64_t strings = offset_of(h, needed->strings, &ignored);
        char text[TEXT_MAX] = "";

        failure_clear(&ignored);
        *links = (struct elf_links){
                .interpreter = g_strdup(interpreter), .needed = g_ptr_array_new_with_free_func(g_free)};
        for (unsigned i = 0; i < needed->n; i++) {
                read_string(h, strings, needed->names[i], text);
                g_ptr_array_add(links->needed, g_strdup(text));
        }
        if (needed->has_search)
                read_string(h, strings, needed->search, text);
        links->search = g_strdup(needed->has_search ? text : "");
        links->total = needed->total;
}

void elf_links_clear(struct elf_links *links) {
        g_free(links->interpreter);
        g_free(links->search);
        if (links->needed)
                g_ptr_array_unref(links->needed);
        *links = (struct elf_links){};
}

/* All segments: do they lie in the file, what do they load, what do they ask for. */
static int read_segments(const struct header *h, struct elf_links *links, struct failure *f) {
        g_autofree uint64_t *names = g_new(uint64_t, ELF_NEEDED_MAX);
        struct needed needed = {.names = names};
        char interpreter[TEXT_MAX] = "";
        bool loads = false, named = false;
        int r;

        for (unsigned i = 0; i < h->phnum; i++) {
                struct segment s;

                r = read_segment(h, i, &s, f);
                if (r < 0)
                        return r;
                if (s.type == PT_LOAD && (!segment_in_file(h, &s) || s.filesz > s.memsz))
                        return unsupported(f, "a segment lies outside the file (truncated?)");
                loads = loads || (s.type == PT_LOAD && s.filesz > 0);
                if (s.type == PT_DYNAMIC)
                        each_dynamic(h, &s, note_needed, &needed);
                if (s.type == PT_INTERP) {
                        read_text(h, s.offset, s.filesz, interpreter);
                        named = true;
                }
        }
        note_links(h, named ? interpreter : NULL, &needed, links);
        if (!loads && !named && needed.total == 0) {
                elf_links_clear(links);
                return unsupported(f, "it has no segment to load");
        }
        return 0;
}

int elf_read_links(const struct elf_source *source, const char *architecture, bool library, struct elf_links *ret,
        struct failure *f) {
        const struct machine *want = machine_by_name(architecture);
        struct header h;
        int r;

        if (!want)
                return failf(f, -EINVAL, FAILURE_SPEC, "architecture %s is not known", architecture);
        r = read_ident(&h, source, want, f);
        h.library = library;
        if (r >= 0)
                r = read_header(&h, f);
        return r >= 0 ? read_segments(&h, ret, f) : r;
}

static int refuse_dynamic(const struct elf_links *links, struct failure *f) {
        g_autoptr(GString) libs = g_string_new(NULL);
        const char *interpreter = links->interpreter ?: "";
        unsigned shown = 0;

        for (unsigned i = 0; i < links->needed->len && i < NEEDED_SHOWN; i++, shown++)
                if (*(char *) links->needed->pdata[i])
                        g_string_append_printf(
                                libs, "%s%s", libs->len > 0 ? ", " : "", (char *) links->needed->pdata[i]);
        if (links->total > shown)
                g_string_append_printf(libs, " and %u more", links->total - shown);
        return failf(f, -ENOEXEC, FAILURE_UNSUPPORTED,
                "ELF program refused: it is dynamic%s%s%s%s and a single file brings no libraries; link it "
                "statically or import an OCI image that holds it and its libraries",
                interpreter[0] ? ", wants the interpreter " : "", interpreter, libs->len > 0 ? " and needs " : "",
                libs->str);
}

int elf_check(const struct elf_source *source, const char *architecture, struct failure *f) {
        struct elf_links links = {};
        int r;

        r = elf_read_links(source, architecture, false, &links, f);
        if (r >= 0 && elf_is_dynamic(&links))
                r = refuse_dynamic(&links, f);
        elf_links_clear(&links);
        return r;
}
