/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds guest kernels: the host's own, and those of other architectures in a place of theirs. */
#include "store/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "qemu/machine-table.h"
#include "shared/fd.h"

/* Where the kernels of an architecture are, and what to do when there is none. */
typedef struct Place {
        char *images, *modules, *guest_init;
        const Machine *foreign; /* NULL: the host's own architecture */
} Place;

static void place_clear(Place *p) {
        g_free(p->images);
        g_free(p->modules);
        g_free(p->guest_init);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Place, place_clear)

/* lib/modules, or usr/lib/modules where a package of Debian 13 has been unpacked as it is. */
static char *find_foreign_modules(const char *place) {
        char *modules = g_build_filename(place, "lib/modules", NULL);

        if (g_file_test(modules, G_FILE_TEST_IS_DIR))
                return modules;
        g_free(modules);
        return g_build_filename(place, "usr/lib/modules", NULL);
}

/* A foreign kernel's package is unpacked below a directory of its own, and never among the host's. */
static Place find_place(const Config *config, const char *architecture) {
        if (g_str_equal(architecture, config_host_architecture()))
                return (Place){.images = g_strdup(config->kernel_directory),
                        .modules = g_strdup(config->modules_directory),
                        .guest_init = g_strdup(config->guest_init)};

        g_autofree char *place = g_build_filename(config->foreign_kernels, architecture, NULL);

        return (Place){.images = g_build_filename(place, "boot", NULL),
                .modules = find_foreign_modules(place),
                .guest_init = g_strconcat(config->guest_init, "-", architecture, NULL),
                .foreign = machine_find(architecture)};
}

/* The image's name in the directory, "" without a version: vmlinuz-VERSION, or vmlinux- where nobody packs it. */
static const char *const prefixes[] = {"vmlinuz-", "vmlinux-"};

static const char *version_of(const char *name) {
        for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++)
                if (g_str_has_prefix(name, prefixes[i]))
                        return name + strlen(prefixes[i]);
        return NULL;
}

static bool has_modules(const Place *place, const char *version) {
        g_autofree char *path = g_build_filename(place->modules, version, "modules.dep", NULL);

        return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

/* As modules or in the kernel itself. */
static bool has_9p(const Place *place, const char *version) {
        g_autofree char *modules = g_build_filename(place->modules, version, "kernel/fs/9p", NULL);
        g_autofree char *builtin = g_build_filename(place->modules, version, "modules.builtin", NULL);
        g_autofree char *text = NULL;

        return g_file_test(modules, G_FILE_TEST_IS_DIR) ||
               (g_file_get_contents(builtin, &text, NULL, NULL) && strstr(text, "/fs/9p/9p.ko"));
}

/* Made for virtual machines: smaller, and sooner up. */
static bool is_cloud(const char *version) {
        return strstr(version, "-cloud-") != NULL;
}

static gint newest_first(gconstpointer a, gconstpointer b) {
        const char *x = *(char *const *) a, *y = *(char *const *) b;

        if (is_cloud(x) != is_cloud(y))
                return is_cloud(x) ? -1 : 1;
        return strverscmp(y, x);
}

/* Versions that have an image and modules, newest first; those made for virtual machines before the others. */
static GPtrArray *list_kernels(const Place *place) {
        GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GDir) dir = g_dir_open(place->images, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                const char *version = version_of(name);

                if (version && has_modules(place, version))
                        g_ptr_array_add(list, g_strdup(version));
        }
        g_ptr_array_sort(list, newest_first);
        return list;
}

static int fail_missing(const Place *place, const char *version, GPtrArray *list, Problem **ret_problem) {
        g_autofree char *known = NULL;

        if (list->len == 0 && place->foreign)
                return problem_set(ret_problem, "ToolMissing", "Architecture",
                        "no guest kernel for %s: expected %s/vmlinuz-VERSION with %s/VERSION/modules.dep; unpack "
                        "Debian's %s there (dpkg-deb -x) and run depmod on it, as README.md shows",
                        place->foreign->architecture, place->images, place->modules, place->foreign->kernel);
        if (list->len == 0)
                return problem_set(ret_problem, "ToolMissing", "Kernel",
                        "no guest kernel: expected %s/vmlinuz-VERSION with %s/VERSION; install linux-image-cloud-amd64",
                        place->images, place->modules);
        g_ptr_array_add(list, NULL);
        known = g_strjoinv(", ", (char **) list->pdata);
        return problem_set(ret_problem, "InvalidSpec", "Kernel", "Kernel: no kernel '%s' on this host; there is: %s",
                version, known);
}

/* version: of the one that was named, NULL: none of the list has it. */
static int fail_without_9p(const char *version, GPtrArray *list, Problem **ret_problem) {
        g_autofree char *known = NULL;

        g_ptr_array_add(list, NULL);
        known = version ? g_strdup(version) : g_strjoinv(", ", (char **) list->pdata);
        return problem_set(ret_problem, "NotSupported", "Kernel",
                "Kernel: %s%s%s, which directories of the host (RootDirectory, Shares) need; Debian's cloud kernels "
                "lack "
                "it: install the package linux-image-amd64 (or of another architecture) and leave Kernel empty, or "
                "name it",
                version ? "kernel " : "no guest kernel of this host (", known, version ? " has no 9p" : ") has 9p");
}

static int open_image(const Place *place, const char *version) {
        int r = -ENOENT;

        for (size_t i = 0; i < G_N_ELEMENTS(prefixes) && r == -ENOENT; i++) {
                g_autofree char *path = g_strconcat(place->images, "/", prefixes[i], version, NULL);

                r = open(path, O_RDONLY | O_CLOEXEC);
                if (r < 0)
                        r = -errno;
        }
        return r;
}

static int open_files(const Place *place, Kernel *k) {
        g_autofree char *modules = g_build_filename(place->modules, k->version, NULL);

        k->image = open_image(place, k->version);
        if (k->image < 0)
                return k->image;
        k->modules = open(modules, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return k->modules < 0 ? -errno : 0;
}

static int open_guest_init(const Place *place, Kernel *k, Problem **ret_problem) {
        k->guest_init = open(place->guest_init, O_RDONLY | O_CLOEXEC);
        if (k->guest_init >= 0)
                return 0;
        if (place->foreign)
                return problem_set(ret_problem, "ToolMissing", "Architecture",
                        "no guest init for %s: %s: %s; build the service where Debian's %s is installed",
                        place->foreign->architecture, place->guest_init, g_strerror(errno), place->foreign->compiler);
        return problem_set(
                ret_problem, "ToolMissing", "Kernel", "no guest init: %s: %s", place->guest_init, g_strerror(errno));
}

static int make_key(const Place *place, Kernel *k) {
        struct stat dep, init;

        if (fstatat(k->modules, "modules.dep", &dep, 0) < 0 || fstat(k->guest_init, &init) < 0)
                return -errno;
        k->cache_key = g_strdup_printf("initrd-%s%s%s%s%s%s-%llx-%llx-%llx",
                place->foreign ? place->foreign->architecture : "", place->foreign ? "-" : "", k->version,
                k->needs & KERNEL_UEFI ? "-uefi" : "", k->needs & KERNEL_DISKS ? "-disks" : "",
                k->needs & KERNEL_9P ? "-9p" : "", (unsigned long long) dep.st_mtim.tv_sec, (unsigned long long) init.st_size,
                (unsigned long long) init.st_mtim.tv_sec * 1000000000ULL + (unsigned long long) init.st_mtim.tv_nsec);
        return 0;
}

int kernel_find(const Config *config, const char *architecture, const char *version, unsigned needs, Kernel **ret,
        Problem **ret_problem) {
        g_auto(Place) place = find_place(config, architecture);
        const Machine *machine = machine_find(architecture);
        g_autoptr(GPtrArray) list = list_kernels(&place);
        g_autoptr(Kernel) k = g_new0(Kernel, 1);
        int r;

        *k = (Kernel){.image = -1, .modules = -1, .guest_init = -1, .needs = needs};
        k->fw_cfg = !machine || machine->fw_cfg;
        for (guint i = 0; i < list->len && !k->version; i++) {
                const char *candidate = list->pdata[i];
                bool any = !version || !*version;

                if (any ? !(needs & KERNEL_9P) || has_9p(&place, candidate) : strcmp(candidate, version) == 0)
                        k->version = g_strdup(candidate);
        }
        if (list->len > 0 && needs & KERNEL_9P && (k->version ? !has_9p(&place, k->version) : !version || !*version))
                return fail_without_9p(k->version, list, ret_problem);
        if (!k->version)
                return fail_missing(&place, version, list, ret_problem);

        r = open_guest_init(&place, k, ret_problem);
        if (r < 0)
                return r;
        r = open_files(&place, k);
        if (r >= 0)
                r = make_key(&place, k);
        if (r < 0)
                return problem_set(ret_problem, "ToolMissing", "Kernel",
                        "guest kernel %s cannot be used: %s (its image and modules must be readable for user "
                        "mcp-runtime)",
                        k->version, g_strerror(-r));
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
