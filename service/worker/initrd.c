/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Builds the initrd: /init, /modules/NAME.ko, /modules.list in load order, mount points and an early console. */
#include "worker/initrd.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/confined-open.h"
#include "shared/cpio.h"
#include "shared/fd.h"
#include "worker/archive-util.h"
#include "worker/modules-dep.h"

#define MODULES_DEP_MAX (16U << 20)
#define MODULE_MAX (64U << 20) /* one module, unpacked; the largest of a distribution kernel has about 10 MiB */
#define INIT_MAX (64U << 20)
#define WANTED_MAX 256U

struct build {
        struct job *job;
        int modules;
        struct cpio cpio;
        GPtrArray *paths; /* below the modules directory, in load order */
};

static int read_text(struct build *b, const char *name, char **ret, struct failure *f) {
        _cleanup_close_ int fd = confined_openat(b->modules, name, O_RDONLY);
        int r = fd;

        if (r >= 0)
                r = read_file(fd, MODULES_DEP_MAX, ret, NULL);
        if (r < 0)
                return failf(f, r, failure_is_hosts(r) ? FAILURE_OTHER : FAILURE_NOT_SUPPORTED,
                        "the kernel's %s cannot be read: %s", name, g_strerror(-r));
        return 0;
}

static int resolve_one(struct build *b, const modules_dep *dep, const json_t *item, struct failure *f) {
        g_autofree char *name = NULL;
        const char *kernel = job_string(b->job, "kernel");
        bool optional;
        int r;

        if (!json_is_string(item) || json_string_length(item) == 0)
                return failf(f, -EINVAL, FAILURE_SPEC, "modules must be an array of module names");
        name = g_strdup(json_string_value(item));
        optional = g_str_has_suffix(name, "?");
        if (optional)
                name[strlen(name) - 1] = 0;
        r = modules_dep_resolve(dep, name, b->paths);
        if (r >= 0 || (r == -ENOENT && optional))
                return 0;
        return failf(f, r, FAILURE_NOT_SUPPORTED, "kernel %s has no module %s%s", kernel ?: "(unnamed)", name,
                r == -ELOOP ? " that does not need itself" : ", and a guest cannot boot without it");
}

static int resolve(struct build *b, struct failure *f) {
        const json_t *wanted = json_object_get(b->job->launch, "modules");
        g_autoptr(modules_dep) dep = NULL;
        g_autofree char *dep_text = NULL;
        g_autofree char *builtin_text = NULL;
        json_t *item;
        size_t i;
        int r;

        if (!json_is_array(wanted) || json_array_size(wanted) > WANTED_MAX)
                return failf(
                        f, -EINVAL, FAILURE_SPEC, "modules must be an array of at most %u module names", WANTED_MAX);
        r = read_text(b, "modules.dep", &dep_text, f);
        if (r >= 0)
                r = read_text(b, "modules.builtin", &builtin_text, f);
        if (r < 0)
                return r;
        if (modules_dep_new(dep_text, builtin_text, &dep) < 0)
                return failf(f, -EBADMSG, FAILURE_NOT_SUPPORTED, "the kernel's modules.dep is damaged");
        json_array_foreach((json_t *) wanted, i, item) {
                r = resolve_one(b, dep, item, f);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A module's bytes, unpacked when the distribution compresses them. */
static int unpack(struct archive_input *in, GByteArray *out, const char *path, struct failure *f) {
        g_autoptr(archive_reader) a = archive_util_raw();
        struct archive_entry *entry;

        if (!a || archive_input_open(in, a) < ARCHIVE_WARN || archive_read_next_header(a, &entry) < ARCHIVE_WARN)
                return failf(f, -EBADMSG, FAILURE_OTHER, "kernel module %s cannot be unpacked: %s", path,
                        a ? archive_error_string(a) : "no memory");
        for (;;) {
                const void *block;
                size_t len;
                la_int64_t offset;
                int r = archive_read_data_block(a, &block, &len, &offset);

                if (r == ARCHIVE_EOF)
                        return 0;
                if (r < ARCHIVE_WARN)
                        return failf(f, -EBADMSG, FAILURE_OTHER, "kernel module %s is damaged: %s", path,
                                archive_error_string(a));
                if (len > MODULE_MAX - out->len)
                        return failf(
                                f, -E2BIG, FAILURE_LIMIT, "kernel module %s has more than %u bytes", path, MODULE_MAX);
                g_byte_array_append(out, block, (guint) len);
        }
}

static int add_module(struct build *b, const char *path, GString *list, struct failure *f) {
        g_autoptr(GByteArray) data = g_byte_array_new();
        _cleanup_close_ int fd = confined_openat(b->modules, path, O_RDONLY);
        g_autofree char *name = modules_dep_name(path);
        g_autofree char *place = g_strdup_printf("modules/%s.ko", name);
        struct archive_input in = {.fd = fd};
        int r;

        if (fd < 0)
                return failf(f, fd, failure_is_hosts(fd) ? FAILURE_OTHER : FAILURE_NOT_SUPPORTED,
                        "kernel module %s cannot be opened: %s", path, g_strerror(-fd));
        r = archive_input_end(&in, unpack(&in, data, path, f), path, f);
        if (r < 0)
                return r;
        if (data->len < 4 || memcmp(data->data, "\177ELF", 4) != 0)
                return failf(f, -EBADMSG, FAILURE_NOT_SUPPORTED, "kernel module %s is no ELF file", path);
        r = cpio_file(&b->cpio, place, 0644, data->data, data->len);
        if (r < 0)
                return fail_errno(f, r, "writing the initrd");
        g_string_append_printf(list, "/%s\n", place);
        return 0;
}

static int add_modules(struct build *b, struct failure *f) {
        g_autoptr(GString) list = g_string_new(NULL);
        int r = 0;

        for (guint i = 0; r >= 0 && i < b->paths->len; i++) {
                r = add_module(b, g_ptr_array_index(b->paths, i), list, f);
                job_progress(b->job, (double) i / (double) b->paths->len, "modules");
        }
        if (r < 0)
                return r;
        r = cpio_file(&b->cpio, "modules.list", 0644, list->str, list->len);
        return r < 0 ? fail_errno(f, r, "writing the initrd") : 0;
}

static int add_skeleton(struct build *b, struct failure *f) {
        static const char *const directories[] = {"dev", "proc", "sys", "run", "newroot", "modules"};
        int r = 0;

        for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(directories); i++)
                r = cpio_directory(&b->cpio, directories[i], 0755);
        if (r >= 0)
                r = cpio_character_device(&b->cpio, "dev/console", 0600, 5, 1);
        return r < 0 ? fail_errno(f, r, "writing the initrd") : 0;
}

static int add_init(struct build *b, int init, struct failure *f) {
        char *data = NULL;
        size_t len;
        int r;

        r = read_file(init, INIT_MAX, &data, &len);
        if (r < 0)
                return fail_errno(f, r, "reading the guest's init");
        if (len < 4 || memcmp(data, "\177ELF", 4) != 0)
                r = failf(f, -EINVAL, FAILURE_SPEC, "the guest's init is no ELF program");
        else
                r = cpio_file(&b->cpio, "init", 0755, data, len);
        free(data);
        return r < 0 ? fail_errno(f, r, "writing the initrd") : 0;
}

int initrd_run(struct job *job, json_t **ret_done, struct failure *f) {
        g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
        struct build b = {.job = job, .paths = paths};
        int init, output, r;

        init = job_need_fd(job, "guest-init", f);
        b.modules = job_need_fd(job, "modules", f);
        output = job_need_fd(job, "output", f);
        if (init < 0 || b.modules < 0 || output < 0)
                return -EINVAL;
        cpio_init(&b.cpio, output);
        r = resolve(&b, f);
        if (r >= 0)
                r = add_skeleton(&b, f);
        if (r >= 0)
                r = add_init(&b, init, f);
        if (r >= 0)
                r = add_modules(&b, f);
        if (r < 0)
                return r;
        r = cpio_finish(&b.cpio);
        if (r < 0)
                return fail_errno(f, r, "writing the initrd");
        *ret_done = json_pack("{s:I}", "size", (json_int_t) b.cpio.size);
        return *ret_done ? 0 : -ENOMEM;
}
