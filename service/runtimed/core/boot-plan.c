/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Turns specs into plans, launch messages and the guest's boot message. */
#include "core/boot-plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/image.h"
#include "core/nanos.h"
#include "core/network.h"
#include "core/profile.h"
#include "core/tpm.h"
#include "model/boot-message.h"
#include "qemu/machine-table.h"
#include "qemu/profile-table.h"
#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/log-line.h"
#include "store/kernel.h"

static json_t *json_strv(char **strv) {
        json_t *array = json_array();

        for (char **s = strv; s && *s; s++)
                (void) json_array_append_new(array, json_string(*s));
        return array;
}

uint16_t boot_queues(const VMSpec *spec) {
        return spec_is_nanos(spec) ? 1 : (uint16_t) MIN(spec->vcpus, NIC_QUEUES_MAX);
}

bool boot_may_use_kvm(const VMSpec *spec) {
        ProfileId profile = profile_from_string(spec->profile);

        return spec->accelerator != ACCELERATOR_TCG && strcmp(spec->architecture, config_host_architecture()) == 0 &&
               (profile == PROFILE_INVALID || !profile_needs_tcg(profile));
}

bool boot_must_use_kvm(const VMSpec *spec) {
        return boot_may_use_kvm(spec) && (spec->accelerator == ACCELERATOR_KVM || *spec->profile);
}

bool boot_has_uefi(const VMSpec *spec) {
        return profile_from_string(spec->profile) == PROFILE_KVM_UEFI;
}

unsigned boot_kernel_needs(const VMSpec *spec) {
        return (boot_has_uefi(spec) ? KERNEL_UEFI : 0) | (spec->n_disks > 0 ? KERNEL_DISKS : 0) |
               (*spec->shares || *spec->root_directory ? KERNEL_9P : 0);
}

ProfileId boot_profile(const VMSpec *spec, Accelerator accelerator) {
        ProfileHost host = {config_host_architecture(), accelerator == ACCELERATOR_KVM};
        ProfileId profile = profile_from_string(spec->profile);

        if (profile == PROFILE_INVALID)
                (void) profile_select("", spec->architecture, "", &host, &profile, NULL, NULL);
        return profile;
}

int boot_check_machine(const VMSpec *spec, Problem **ret_problem) {
        ProfileId profile = profile_from_string(spec->profile);
        const Machine *machine = machine_find(spec->architecture);
        const char *host = config_host_architecture();

        if (!machine)
                return problem_set(ret_problem, "NotSupported", "Architecture", "Architecture: %s has no machine",
                        spec->architecture);
        if (spec->accelerator == ACCELERATOR_KVM && strcmp(spec->architecture, host) != 0)
                return problem_set(ret_problem, "InvalidSpec", "Accelerator",
                        "Accelerator: kvm runs this host's Architecture '%s' only, not '%s'", host, spec->architecture);
        if (profile != PROFILE_INVALID && !profile_takes(profile, spec->architecture, host)) {
                g_autofree const char **taken = profile_architectures(profile, host);
                g_autofree char *list = g_strjoinv(", ", (char **) taken);

                return problem_set(ret_problem, "InvalidSpec", "Profile",
                        "Profile: on this host '%s' takes guests of %s, not of Architecture '%s'", spec->profile,
                        *list ? list : "no architecture", spec->architecture);
        }
        if (profile != PROFILE_INVALID && profile_needs_tcg(profile) && spec->accelerator == ACCELERATOR_KVM)
                return problem_set(ret_problem, "InvalidSpec", "Profile",
                        "Profile: '%s' emulates, so Accelerator is auto or tcg, not kvm", spec->profile);
        if (spec_is_nanos(spec) && (strcmp(spec->architecture, host) != 0 || boot_has_uefi(spec)))
                return problem_set(ret_problem, "NotSupported", "Target",
                        "Target: '%s' is built for this host's Architecture '%s' and boots without UEFI", spec->target,
                        host);
        if (*spec->credentials && !machine->fw_cfg)
                return problem_set(ret_problem, "NotSupported", "Credentials",
                        "Credentials: the machine of Architecture '%s' has no way to get them that is not on its disk",
                        spec->architecture);
        return 0;
}

void boot_plan(Runtime *rt, const char *name, const char *uuid, const VMSpec *spec, Accelerator accelerator,
        QEMUPlan *plan, char **mac) {
        VM *vm = runtime_find_vm_by_uuid(rt, uuid);
        g_autofree char *binary = qemu_host_program(rt->config, spec->architecture);

        *mac = vm && *vm->record->mac ? g_strdup(vm->record->mac) : mac_from_name(name);
        *plan = (QEMUPlan){.binary = g_intern_string(binary), /* as many as there are architectures */
                .name = name,
                .uuid = uuid,
                .architecture = spec->architecture,
                .accelerator = accelerator,
                .uefi = boot_has_uefi(spec),
                .memory_mib = spec->memory_mib,
                .vcpus = spec->vcpus,
                .credentials = *spec->credentials != NULL,
                .nanos = spec_is_nanos(spec),
                .volumes = *spec->volumes && !spec_is_nanos(spec),
                .archives = *spec->archives && !spec_is_nanos(spec),
                .n_disks = (uint16_t) spec->n_disks,
                .n_shares = (uint16_t) g_strv_length(spec->shares),
                .root_directory = *spec->root_directory != '\0',
                .network = strcmp(spec->network, NETWORK_NONE) != 0,
                .queues = network_is_bridge(spec->network) ? boot_queues(spec) : 0,
                .mac = *mac};
}

/* What the default kernel may lack is told before anything is made. */
static int check_kernel(Runtime *rt, const VMSpec *spec, Problem **ret_problem) {
        g_autoptr(Kernel) kernel = NULL;

        return kernel_find(rt->config, spec->architecture, spec->kernel, boot_kernel_needs(spec), &kernel, ret_problem);
}

int boot_check_tools(Runtime *rt, uint32_t owner, const VMSpec *spec, Problem **ret_problem) {
        const Config *config = rt->config;

        if (tpm_check_tools(rt, spec, ret_problem) < 0)
                return -ENOENT;
        if (strcmp(spec->network, NETWORK_USER) == 0 && access(config->passt, X_OK) < 0)
                return problem_set(ret_problem, "ToolMissing", "Network",
                        "Network: user networking needs passt, and %s is not there; install the package passt, set "
                        "Passt= "
                        "in runtime.conf, or use Network=none",
                        config->passt);
        if (spec_is_nanos(spec))
                return nanos_check_start(rt, owner, spec, ret_problem);
        return boot_kernel_needs(spec) & KERNEL_9P ? check_kernel(rt, spec, ret_problem) : 0;
}

json_t *boot_qemu_environment(const QEMUPlan *plan) {
        g_auto(GStrv) environment = qemu_environment(plan);

        return json_strv(environment);
}

/* How the monitor knows that the VM is ready; guest: there is a guest init that says when its program runs. */
static void add_ready(json_t *message, const Probe *ready, bool guest) {
        if (ready->kind == PROBE_CONSOLE)
                (void) json_object_set_new(message, "ready_pattern", json_string(ready->pattern));
        (void) json_object_set_new(message, "ready",
                json_string(ready->kind == PROBE_CONSOLE        ? "console"
                            : probe_kind_is_inside(ready->kind) ? "probe"
                            : guest                             ? "message"
                                                                : "none"));
}

static void add_health(json_t *message, const Probe *health) {
        json_t *object;

        if (health->kind == PROBE_NONE)
                return;
        object = json_pack("{s:s, s:I, s:I, s:I, s:I}", "kind", health->kind == PROBE_CONSOLE ? "console" : "probe",
                "start_period", (json_int_t) health->start_period, "interval", (json_int_t) health->interval, "timeout",
                (json_int_t) health->timeout, "retries", (json_int_t) health->retries);
        if (health->kind == PROBE_CONSOLE)
                (void) json_object_set_new(object, "pattern", json_string(health->pattern));
        (void) json_object_set_new(message, "health", object);
}

/* A guest without guest init has its address when its program begins, and says so on its console; without a network
 * there is nothing that it would say. */
static void add_ready_of_nanos(json_t *message, VM *vm) {
        const VMSpec *spec = vm->record->spec;
        const char *address = network_is_bridge(spec->network) ? vm->record->address : USER_NET_ADDRESS;
        g_autofree char *pattern = g_strconcat("assigned ", address, NULL);

        if (spec->ready.kind != PROBE_NONE || strcmp(spec->network, NETWORK_NONE) == 0)
                return;
        (void) json_object_set_new(message, "ready", json_string("console"));
        (void) json_object_set_new(message, "ready_pattern", json_string(pattern));
}

json_t *boot_launch_message(VM *vm, char **argv) {
        const VMSpec *spec = vm->record->spec;
        bool guest = !spec_is_nanos(spec);
        json_t *message = json_pack("{s:I, s:o, s:I, s:I, s:b}", "boot", (json_int_t) vm->record->boot_id, "argv",
                json_strv(argv), "log_max", (json_int_t) LOG_SEGMENT_BYTES, "stop_timeout",
                (json_int_t) spec->stop_timeout, "guest", (int) guest);

        add_ready(message, &spec->ready, guest);
        if (!guest)
                add_ready_of_nanos(message, vm);
        add_health(message, &spec->health);
        return message;
}

json_t *boot_tpm_message(Runtime *rt) {
        g_auto(GStrv) argv = swtpm_argv(rt->config->swtpm, NULL);

        return json_pack("{s:o}", "argv", json_strv(argv));
}

static bool is_usable_resolver(const char *address) {
        struct in_addr v4;

        return inet_pton(AF_INET, address, &v4) == 1 && (ntohl(v4.s_addr) >> 24) != 127 && v4.s_addr != 0;
}

#define RESOLVERS_MAX 3U /* MAXNS of resolv.conf(5) */

static char **read_resolvers(const char *path) {
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL))
                lines = g_strsplit(text, "\n", 0);
        for (char **l = lines; l && *l && found->len < RESOLVERS_MAX; l++)
                if (g_str_has_prefix(*l, "nameserver")) {
                        char *address = g_strstrip(*l + strlen("nameserver"));

                        if (is_usable_resolver(address))
                                g_ptr_array_add(found, g_strdup(address));
                }
        g_ptr_array_add(found, NULL);
        return (char **) g_ptr_array_free(g_steal_pointer(&found), FALSE);
}

/* The host's resolvers as a guest can reach them: a stub on the host's loopback is out of its reach, so then those
 * behind systemd-resolved's stub (systemd-resolved.service(8), "/run/systemd/resolve/resolv.conf"). */
static char **host_resolvers(void) {
        char **found = read_resolvers("/etc/resolv.conf");

        if (*found)
                return found;
        g_strfreev(found);
        return read_resolvers("/run/systemd/resolve/resolv.conf");
}

/* Where the hypervisor's own terminal has taken the name that guest init knows. */
static void add_console(GByteArray *message, const VMSpec *spec) {
        const Machine *machine = machine_find(spec->architecture);
        g_autofree char *entry = NULL;

        if (!machine || strcmp(machine->program, "hvc0") == 0)
                return;
        entry = g_strconcat("console=", machine->program, NULL);
        (void) g_byte_array_append(message, (const guint8 *) entry, (guint) strlen(entry) + 1);
}

int boot_message_memfd(Runtime *rt, VM *vm, Problem **ret_problem) {
        const VMSpec *spec = vm->record->spec;
        g_autoptr(GByteArray) message = NULL;
        g_autofree char *address = NULL, *gateway = NULL;
        g_auto(GStrv) resolvers = NULL;
        BootNetwork network = {};
        g_autoptr(ImageConfig) nothing = *spec->root_directory ? image_config_new() : NULL;
        Image *image = vm_image(vm);
        int r;

        if (!image && !nothing)
                return problem_set(ret_problem, "NoSuchImage", "Image", "the image of VM '%s' (%s) is gone", vm->name,
                        vm->record->image_digest);
        if (strcmp(spec->network, NETWORK_NONE) != 0) {
                if (!spec->dns || !*spec->dns)
                        resolvers = host_resolvers();
                network = (BootNetwork){.address = USER_NET_ADDRESS "/" G_STRINGIFY(USER_NET_PREFIX),
                        .gateway = PASST_GATEWAY,
                        .dns = resolvers ?: spec->dns};
                if (network_is_bridge(spec->network) && network_guest_addresses(vm, &address, &gateway)) {
                        network.address = address;
                        network.gateway = gateway;
                }
        }
        r = boot_message_build(spec, vm->name, nothing ?: image->config, &network, &message, ret_problem);
        if (r < 0)
                return r;
        add_console(message, spec);
        r = memfd_sealed("boot", message->data, message->len);
        if (r < 0)
                return problem_set(ret_problem, "NoSpace", NULL, "the boot message: %s", g_strerror(-r));
        return r;
}

int vm_describe(Runtime *rt, uint32_t owner, const char *name, const char *uuid, const VMSpec *spec, char ***ret,
        Problem **ret_problem) {
        Accelerator accelerator = spec->accelerator;
        g_autoptr(ProfileBundle) bundle = NULL;
        g_autofree char *mac = NULL;
        ProfilePaths paths = {};
        Profile *profile;
        QEMUPlan plan;

        if (!boot_may_use_kvm(spec))
                accelerator = ACCELERATOR_TCG;
        else if (accelerator == ACCELERATOR_AUTO)
                accelerator = rt->kvm == KVM_USABLE ? ACCELERATOR_KVM : ACCELERATOR_TCG;
        profile = profile_get(rt, boot_profile(spec, accelerator));
        bundle = profile_bundle(profile, spec->architecture);
        boot_plan(rt, name, uuid, spec, accelerator, &plan, &mac);
        plan.bundle = bundle ? &bundle->bundle : NULL;
        *ret = qemu_argv(&plan);
        if (!*ret)
                return problem_set(ret_problem, "NotSupported", "Architecture", "Architecture: %s has no machine",
                        spec->architecture);
        if (profile_resolve(profile, spec->architecture, &paths, ret_problem) < 0 && ret_problem && *ret_problem)
                return -ENOENT;
        profile_paths_clear(&paths);
        return boot_check_tools(rt, owner, spec, ret_problem);
}
