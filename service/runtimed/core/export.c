/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns what an exported unit counts on: the files of the VM that it names, and that they can be read there. */
#include "core/export.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/boot-plan.h"
#include "core/image-check.h"
#include "core/initrd.h"
#include "core/profile.h"
#include "core/storage.h"
#include "qemu/machine-table.h"
#include "qemu/unit-text.h"
#include "shared/fd.h"
#include "shared/guest-wire.h"

#define BOOT_FILE "export-boot"
#define RUNNER LIBEXECDIR "/mcp-vm-run"

typedef struct Export {
        Runtime *runtime;
        char *uuid;
        Kernel *kernel;
        ExportDone done;
        void *userdata;
} Export;

typedef struct Files {
        char *paths[QEMU_SLOT_MAX];
        char *tpm;
        ProfileBundle *bundle;
        GPtrArray *read, *write;
} Files;

static void files_clear(Files *f) {
        for (size_t i = 0; i < QEMU_SLOT_MAX; i++)
                g_free(f->paths[i]);
        g_free(f->tpm);
        profile_bundle_free(f->bundle);
        g_clear_pointer(&f->read, g_ptr_array_unref);
        g_clear_pointer(&f->write, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Files, files_clear)

static void export_end(Export *e, const char *text, const Problem *problem) {
        e->done(text, problem, e->userdata);
        kernel_free(e->kernel);
        g_free(e->uuid);
        g_free(e);
}

/* ---- What cannot be exported ---- */

static int check(VM *vm, Problem **ret_problem) {
        const VMSpec *spec = vm->record->spec;
        const Machine *machine = machine_find(spec->architecture);

        if (strcmp(spec->target, TARGET_LINUX) != 0)
                return problem_set(
                        ret_problem, "NotSupported", "Target", "Target: only '" TARGET_LINUX "' VMs are exported");
        if (network_is_bridge(spec->network))
                return problem_set(ret_problem, "NotSupported", "Network",
                        "Network: the TAP of network '%s' is made and guarded while the service runs; expected "
                        "'" NETWORK_USER "' or '" NETWORK_NONE "'",
                        spec->network);
        for (size_t i = 0; i < spec->n_ports; i++)
                if (spec->ports[i].host == 0)
                        return problem_set(ret_problem, "NotSupported", "Ports",
                                "Ports: port 0 of the host is picked by the service; expected a number");
        if (spec->n_disks > 0 || *spec->shares)
                return problem_set(ret_problem, "NotSupported", spec->n_disks > 0 ? "Disks" : "Shares",
                        "%s: a VM that has any is not exported: the unit's copies would outlive it or miss what they show",
                        spec->n_disks > 0 ? "Disks" : "Shares");
        if (*spec->root_directory)
                return problem_set(ret_problem, "NotSupported", "RootDirectory",
                        "RootDirectory: a VM that has one is not exported: the unit would name a path of the host, which the "
                        "service walks and checks at each start");
        if (*spec->credentials)
                return problem_set(ret_problem, "NotSupported", "Credentials",
                        "Credentials: they are in the service's memory alone, and a unit would need them on the disk");
        if (!machine || !machine->fw_cfg)
                return problem_set(ret_problem, "NotSupported", "Architecture",
                        "Architecture: the machine of '%s' gets what is per boot from the service's monitor",
                        spec->architecture);
        return boot_check_tools(vm->runtime, vm_owner(vm), spec, ret_problem);
}

/* ---- Files ---- */

/* The path of a descriptor, which is closed; others may read it from then on, in a directory that is closed to them. */
static int take_path(int fd, mode_t mode, char **ret) {
        __attribute__((unused)) _cleanup_close_ int owned = fd;
        char link[32], path[PATH_MAX];
        struct stat st;
        ssize_t n;

        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0 || ((st.st_mode & mode) != mode && fchmod(fd, (st.st_mode & 07777) | mode) < 0))
                return -errno;
        (void) snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        if (n < 0)
                return -errno;
        path[n] = '\0';
        *ret = g_strdup(path);
        return 0;
}

static int open_path(const char *path) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* A file that the first boot makes, not empty. */
static int open_made(VM *vm, const char *name) {
        int fd = store_vm_open(vm->runtime->store, vm->name, name, O_RDWR);
        struct stat st;

        if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_size == 0)) {
                (void) close_fd(fd);
                return -ENOENT;
        }
        return fd;
}

static int open_root(VM *vm) {
        bool sound;
        int fd = image_open(vm_image(vm), &sound);

        return fd >= 0 && !sound ? (close_fd(fd), -ESTALE) : fd;
}

static int open_slot(VM *vm, const Kernel *kernel, QEMUSlot slot) {
        const Machine *machine = machine_find(vm->record->spec->architecture);

        switch (slot) {
        case QEMU_SLOT_KERNEL:
                return fcntl(kernel->image, F_DUPFD_CLOEXEC, 3);
        case QEMU_SLOT_INITRD:
                return store_cache_open(vm->runtime->store, kernel->cache_key);
        case QEMU_SLOT_BOOT:
                return store_vm_open(vm->runtime->store, vm->name, BOOT_FILE, O_RDONLY);
        case QEMU_SLOT_ROOT:
                return open_root(vm);
        case QEMU_SLOT_VOLUMES:
                return storage_open_volumes(vm);
        case QEMU_SLOT_ARCHIVES:
                return storage_open_archives(vm);
        case QEMU_SLOT_CODE:
                return open_path(machine->uefi->code);
        case QEMU_SLOT_VARS:
                return open_made(vm, "uefi-vars");
        default:
                return -EINVAL;
        }
}

/* Those of the VM's own and of its image are shown to the unit; the host's can be seen anyway. */
static void show(const Runtime *rt, Files *f, const char *path, bool write) {
        if (g_str_has_prefix(path, rt->config->state_directory))
                g_ptr_array_add(write ? f->write : f->read, (gpointer) path);
}

static int collect(VM *vm, const Kernel *kernel, const QEMUPlan *plan, Files *f) {
        int r;

        f->read = g_ptr_array_new();
        f->write = g_ptr_array_new();
        for (QEMUSlot slot = 0; slot < QEMU_SLOT_MAX; slot++) {
                bool write = slot == QEMU_SLOT_VARS;

                if (slot == QEMU_SLOT_NET || slot == QEMU_SLOT_TPM || slot == QEMU_SLOT_BUNDLE ||
                        qemu_slot_fd(plan, slot) < 0)
                        continue;
                /* The host's own files are as readable as they are. */
                r = take_path(open_slot(vm, kernel, slot),
                        slot == QEMU_SLOT_KERNEL || slot == QEMU_SLOT_CODE ? 0
                        : write                                            ? 0666
                                                                           : 0444,
                        &f->paths[slot]);
                if (r < 0)
                        return r;
                show(vm->runtime, f, f->paths[slot], write);
        }
        if (plan->uefi) {
                r = take_path(open_made(vm, "tpm"), 0666, &f->tpm);
                if (r < 0)
                        return r;
                show(vm->runtime, f, f->tpm, true);
        }
        if (plan->bundle)
                g_ptr_array_add(f->read, f->paths[QEMU_SLOT_BUNDLE]);
        g_ptr_array_add(f->read, NULL);
        g_ptr_array_add(f->write, NULL);
        return 0;
}

/* The profile's own build of QEMU, by the name that its current assembly always has. */
static int take_bundle(VM *vm, QEMUPlan *plan, Files *f, Problem **ret_problem) {
        Profile *profile = profile_get(vm->runtime, boot_profile(vm->record->spec, plan->accelerator));
        ProfilePaths paths = {};
        g_autofree char *bin = NULL;
        int r;

        r = profile_resolve(profile, plan->architecture, &paths, ret_problem);
        if (r == -EAGAIN)
                return problem_set(ret_problem, "NotSupported", "Profile",
                        "Profile: %s is not assembled; start the VM once, or call Assemble, then export it",
                        profile->name);
        if (r < 0)
                return r;
        if (paths.assembled) {
                f->bundle = profile_bundle(profile, plan->architecture);
                bin = g_path_get_dirname(paths.binary);
                f->paths[QEMU_SLOT_BUNDLE] = g_path_get_dirname(bin);
                plan->bundle = &f->bundle->bundle;
        }
        profile_paths_clear(&paths);
        return 0;
}

/* What the guest is told at each of its boots. */
static int put_boot_message(VM *vm, Problem **ret_problem) {
        _cleanup_close_ int message = boot_message_memfd(vm->runtime, vm, ret_problem);
        char *data = NULL;
        size_t len;
        int r;

        if (message < 0)
                return message;
        r = read_file(message, GUEST_BOOT_MAX, &data, &len);
        if (r >= 0)
                r = store_vm_put(vm->runtime->store, vm->name, BOOT_FILE, data, len, 0444);
        free(data);
        return r < 0 ? problem_set(ret_problem, "NoSpace", NULL, "the guest's boot message could not be written: %s",
                               g_strerror(-r))
                     : 0;
}

/* ---- The unit ---- */

static void add_strv(GPtrArray *argv, char **words) {
        for (char **w = words; *w; w++)
                g_ptr_array_add(argv, g_strdup(*w));
}

/* For mcp-vm-run: each program beside QEMU, then QEMU. */
static GPtrArray *runner_argv(const Config *config, const VMSpec *spec, const QEMUPlan *plan, const char *tpm) {
        PasstPlan passt = {.binary = config->passt, .foreground = true, .ports = spec->ports, .n_ports = spec->n_ports};
        g_auto(GStrv) network = passt_argv(&passt), swtpm = swtpm_argv(config->swtpm, tpm), qemu = qemu_argv(plan);
        g_auto(GStrv) environment = qemu_environment(plan);
        GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);

        if (plan->network) {
                g_ptr_array_add(argv, g_strdup("guarded"));
                add_strv(argv, network);
                g_ptr_array_add(argv, g_strdup("--"));
        }
        if (plan->uefi) {
                g_ptr_array_add(argv, g_strdup("plain"));
                add_strv(argv, swtpm);
                g_ptr_array_add(argv, g_strdup("--"));
        }
        if (*environment) { /* of QEMU alone: neither passt nor swtpm is to load its libraries */
                g_ptr_array_add(argv, g_strdup("/usr/bin/env"));
                add_strv(argv, environment);
        }
        add_strv(argv, qemu);
        g_ptr_array_add(argv, NULL);
        return argv;
}

static int make_text(VM *vm, const Kernel *kernel, char **ret, Problem **ret_problem) {
        Runtime *rt = vm->runtime;
        const VMSpec *spec = vm->record->spec;
        bool kvm = boot_may_use_kvm(spec) && rt->kvm == KVM_USABLE;
        g_autofree char *mac = NULL, *unit = vm_unit(vm);
        g_autoptr(GPtrArray) argv = NULL;
        g_auto(Files) files = {};
        const char *word = NULL;
        QEMUPlan plan;
        int r;

        boot_plan(rt, vm->name, vm->record->uuid, spec, kvm ? ACCELERATOR_KVM : ACCELERATOR_TCG, &plan, &mac);
        r = take_bundle(vm, &plan, &files, ret_problem);
        if (r < 0)
                return r;
        r = collect(vm, kernel, &plan, &files);
        if (r < 0)
                return problem_set(ret_problem, "NotSupported", NULL,
                        "VM '%s' has not all of its files yet (%s); start it once, then export it", vm->name,
                        g_strerror(-r));
        plan.paths = (const char *const *) files.paths;
        argv = runner_argv(rt->config, spec, &plan, files.tpm);
        r = unit_text(&(UnitPlan){.name = vm->name,
                              .own_unit = unit,
                              .runner = RUNNER,
                              .argv = (const char *const *) argv->pdata,
                              .read = (const char *const *) files.read->pdata,
                              .write = (const char *const *) files.write->pdata,
                              .state_directory = rt->config->state_directory,
                              .restart = spec->restart,
                              .stop_timeout = spec->stop_timeout,
                              .kvm = kvm,
                              .user_network = plan.network,
                              .display = plan.uefi},
                ret, &word);
        if (r < 0) {
                g_autofree char *shown = problem_quote(word);

                return problem_set(ret_problem, "NotSupported", NULL, "%s cannot be said in a unit", shown);
        }
        return 0;
}

static void on_initrd(const Problem *problem, void *userdata) {
        Export *e = userdata;
        g_autoptr(Problem) own = NULL;
        g_autofree char *text = NULL;
        VM *vm = runtime_find_vm_by_uuid(e->runtime, e->uuid);

        if (problem) {
                export_end(e, NULL, problem);
                return;
        }
        if (!vm)
                own = problem_new("NoSuchVM", NULL, "the VM has gone");
        else if (put_boot_message(vm, &own) >= 0)
                (void) make_text(vm, e->kernel, &text, &own);
        export_end(e, text, own);
}

void vm_export(VM *vm, ExportDone done, void *userdata) {
        g_autoptr(Problem) problem = NULL;
        const VMSpec *spec = vm->record->spec;
        Export *e = g_new0(Export, 1);
        Waiter *waiter;

        *e = (Export){.runtime = vm->runtime, .uuid = g_strdup(vm->record->uuid), .done = done, .userdata = userdata};
        if (check(vm, &problem) < 0 || kernel_find(vm->runtime->config, spec->architecture, spec->kernel,
                                               boot_kernel_needs(spec), &e->kernel, &problem) < 0)
                export_end(e, NULL, problem);
        else
                initrd_ensure(vm->runtime, e->kernel, on_initrd, e, &waiter);
}
