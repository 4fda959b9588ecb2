/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds guest kernels among the host's own. */
#include "store/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/fd.h"

#define IMAGE_PREFIX "vmlinuz-"

static bool has_modules(const Config *config, const char *version) {
        g_autofree char *path = g_build_filename(config->modules_directory, version, "modules.dep", NULL);

        return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

static gint newest_first(gconstpointer a, gconstpointer b) {
        return strverscmp(*(char *const *) b, *(char *const *) a);
}

/* Versions that have an image and modules, newest first. */
static GPtrArray *list_kernels(const Config *config) {
        GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) dir = g_dir_open(config->kernel_directory, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir)))
                if (g_str_has_prefix(name, IMAGE_PREFIX) && has_modules(config, name + strlen(IMAGE_PREFIX)))
                        g_ptr_array_add(list, g_strdup(name + strlen(IMAGE_PREFIX)));
        g_ptr_array_sort(list, newest_first);
        return list;
}

static int fail_missing(const Config *config, const char *version, GPtrArray *list, Problem **ret_problem) {
        g_autofree char *known = NULL;

        if (list->len == 0)
                return problem_set(ret_problem, "ToolMissing", "Kernel",
                        "no guest kernel: expected %s/" IMAGE_PREFIX
                        "VERSION with %s/VERSION; install linux-image-cloud-amd64",
                        config->kernel_directory, config->modules_directory);
        g_ptr_array_add(list, NULL);
        known = g_strjoinv(", ", (char **) list->pdata);
        return problem_set(ret_problem, "InvalidSpec", "Kernel", "Kernel: no kernel '%s' on this host; there is: %s",
                version, known);
}

static int open_files(const Config *config, Kernel *k) {
        g_autofree char *image = g_strconcat(config->kernel_directory, "/" IMAGE_PREFIX, k->version, NULL);
        g_autofree char *modules = g_build_filename(config->modules_directory, k->version, NULL);

        k->image = open(image, O_RDONLY | O_CLOEXEC);
        if (k->image < 0)
                return -errno;
        k->modules = open(modules, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (k->modules < 0)
                return -errno;
        k->guest_init = open(config->guest_init, O_RDONLY | O_CLOEXEC);
        return k->guest_init < 0 ? -errno : 0;
}

static int make_key(Kernel *k) {
        struct stat dep, init;

        if (fstatat(k->modules, "modules.dep", &dep, 0) < 0 || fstat(k->guest_init, &init) < 0)
                return -errno;
        k->cache_key = g_strdup_printf("initrd-%s-%llx-%llx-%llx", k->version, (unsigned long long) dep.st_mtim.tv_sec,
                (unsigned long long) init.st_size,
                (unsigned long long) init.st_mtim.tv_sec * 1000000000ULL + (unsigned long long) init.st_mtim.tv_nsec);
        return 0;
}

int kernel_find(const Config *config, const char *version, Kernel **ret, Problem **ret_problem) {
        g_autoptr(GPtrArray) list = list_kernels(config);
        g_autoptr(Kernel) k = g_new0(Kernel, 1);
        int r;

        *k = (Kernel){.image = -1, .modules = -1, .guest_init = -1};
        for (guint i = 0; i < list->len && !k->version; i++)
                if (!version || !*version || strcmp(list->pdata[i], version) == 0)
                        k->version = g_strdup(list->pdata[i]);
        if (!k->version)
                return fail_missing(config, version, list, ret_problem);

        r = open_files(config, k);
        if (r >= 0)
                r = make_key(k);
        if (r < 0)
                return problem_set(ret_problem, "ToolMissing", "Kernel",
                        "guest kernel %s cannot be used: %s (its image, modules and %s must be readable for user "
                        "mcp-runtime)",
                        k->version, g_strerror(-r), config->guest_init);
        *ret = g_steal_pointer(&k);
        return 0;
}

void kernel_free(Kernel *k) {
        if (!k)
                return;
        g_free(k->version);
        g_free(k->cache_key);
        (void) close_fd(k->image);
        (void) close_fd(k->modules);
        (void) close_fd(k->guest_init);
        g_free(k);
}
