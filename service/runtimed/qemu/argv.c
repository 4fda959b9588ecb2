/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the command lines of QEMU and passt: what DescribeCommand shows is what runs. */
#include "qemu/argv.h"

#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "qemu/machine-table.h"
#include "shared/guest-wire.h"
#include "shared/launch-wire.h"

#define ROOT_FDSET 1
#define CODE_FDSET 2
#define VARS_FDSET 3
#define VOLUMES_FDSET 4
#define ARCHIVES_FDSET 5
#define DISKS_FDSET 16 /* the first */

/* What every initrd understands, ours too: guest/rootfs.c. msize: bytes at a time. */
#define ROOT_DIRECTORY_APPEND                                                                                          \
        " root=" GUEST_ROOT_SHARE " rootfstype=9p rootflags=trans=virtio,version=9p2000.L,msize=131072"

static bool slot_is_used(const QEMUPlan *plan, QEMUSlot slot) {
        switch (slot) {
        case QEMU_SLOT_KERNEL:
        case QEMU_SLOT_INITRD:
                return !plan->nanos;
        case QEMU_SLOT_BOOT:
                return !plan->nanos && !qemu_boot_in_initrd(plan);
        case QEMU_SLOT_CREDENTIALS:
                return !plan->nanos && plan->credentials;
        case QEMU_SLOT_VOLUMES:
                return !plan->nanos && plan->volumes;
        case QEMU_SLOT_SHARES:
                return !plan->nanos && plan->n_shares > 0;
        case QEMU_SLOT_DISKS:
                return !plan->nanos && plan->n_disks > 0;
        case QEMU_SLOT_ARCHIVES:
                return !plan->nanos && plan->archives;
        case QEMU_SLOT_CODE:
        case QEMU_SLOT_VARS:
        case QEMU_SLOT_TPM:
                return plan->uefi;
        case QEMU_SLOT_BUNDLE:
                return plan->bundle != NULL;
        case QEMU_SLOT_NET:
                return plan->network;
        default:
                return true;
        }
}

bool qemu_boot_in_initrd(const QEMUPlan *plan) {
        const Machine *machine = machine_find(plan->architecture);

        return machine && !machine->fw_cfg && !plan->nanos;
}

/* The programs beside QEMU in the order in which mcp-vm-run gets them: passt, swtpm. */
static int standalone_fd(const QEMUPlan *plan, QEMUSlot slot) {
        if (slot == QEMU_SLOT_NET)
                return QEMU_FD_QMP + 1;
        return slot == QEMU_SLOT_TPM ? QEMU_FD_QMP + 1 + plan->network : -1;
}

/* NET comes last, so that its others need no counting. */
static int slot_width(const QEMUPlan *plan, QEMUSlot slot) {
        if (!slot_is_used(plan, slot))
                return 0;
        return slot == QEMU_SLOT_DISKS ? plan->n_disks : slot == QEMU_SLOT_SHARES ? plan->n_shares : 1;
}

int qemu_slot_fd(const QEMUPlan *plan, QEMUSlot slot) {
        int fd = QEMU_FD_FIRST;

        if (!slot_is_used(plan, slot))
                return -1;
        if (plan->paths)
                return standalone_fd(plan, slot);
        for (QEMUSlot s = 0; s < slot; s++)
                fd += slot_width(plan, s);
        return fd;
}

/* A value inside a list of options: QEMU ends it at a comma, and reads two as one. */
static char *quote_value(const char *value) {
        GString *s = g_string_new(NULL);

        for (; *value; value++) {
                g_string_append_c(s, *value);
                if (*value == ',')
                        g_string_append_c(s, ',');
        }
        return g_string_free(s, FALSE);
}

/* The name under which QEMU opens a slot's file. */
static char *slot_path(const QEMUPlan *plan, QEMUSlot slot) {
        if (plan->paths)
                return g_strdup(plan->paths[slot]);
        return g_strdup_printf("/proc/self/fd/%d", qemu_slot_fd(plan, slot));
}

static void add(GPtrArray *argv, const char *option, const char *value) {
        g_ptr_array_add(argv, g_strdup(option));
        g_ptr_array_add(argv, g_strdup(value));
}

static void addf(GPtrArray *argv, const char *option, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void addf(GPtrArray *argv, const char *option, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        g_ptr_array_add(argv, g_strdup(option));
        g_ptr_array_add(argv, g_strdup_vprintf(format, ap));
        va_end(ap);
}

/* The same for a file that must not be opened anew; the descriptor goes to a set of QEMU's. */
static char *add_file(GPtrArray *argv, const QEMUPlan *plan, QEMUSlot slot, int set) {
        if (plan->paths)
                return slot_path(plan, slot);
        addf(argv, "-add-fd", "fd=%d,set=%d", qemu_slot_fd(plan, slot), set);
        return g_strdup_printf("/dev/fdset/%d", set);
}

static void add_fw_cfg(GPtrArray *argv, const QEMUPlan *plan, const char *item, QEMUSlot slot) {
        g_autofree char *path = slot_path(plan, slot), *quoted = quote_value(path);

        addf(argv, "-fw_cfg", "name=%s,file=%s", item, quoted);
}

/* Takes the reference of value. */
static void add_json(GPtrArray *argv, const char *option, json_t *value) {
        char *text = json_dumps(value, JSON_COMPACT);

        add(argv, option, text);
        free(text);
        json_decref(value);
}

/* VNC listens nowhere, but in a directory of an exported unit's own: who may see the display is handed in, one client after the other. What they say of
 * sharing is not looked at: by the protocol one could drop all others. */
static void add_flags(GPtrArray *argv, const QEMUPlan *plan) {
        static const char *const flags[] = {"-nodefaults", "-no-user-config", "-no-reboot"};

        for (size_t i = 0; i < G_N_ELEMENTS(flags); i++)
                g_ptr_array_add(argv, g_strdup(flags[i]));
        add(argv, "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
        if (plan->uefi && plan->paths)
                addf(argv, "-vnc", "unix:" UNIT_RUNTIME_DIRECTORY "/vnc,share=ignore", plan->name);
        else if (plan->uefi)
                add(argv, "-vnc", "none,share=ignore");
        else
                add(argv, "-display", "none");
}

static void add_machine(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        g_autofree char *name = quote_value(plan->name);
        bool kvm = plan->accelerator == ACCELERATOR_KVM;

        addf(argv, "-name", "guest=%s", name);
        add(argv, "-uuid", plan->uuid);
        addf(argv, "-machine", "%s,accel=%s%s", plan->nanos ? machine->nanos : machine->machine,
                accelerator_to_string(plan->accelerator), plan->uefi ? ",pflash0=code,pflash1=vars" : "");
        add(argv, "-cpu", kvm ? "host" : machine->tcg_cpu);
        addf(argv, "-smp", "%u", plan->vcpus);
        addf(argv, "-m", "%uM", plan->memory_mib);
}

static void add_kernel(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        g_autofree char *kernel = slot_path(plan, QEMU_SLOT_KERNEL), *initrd = slot_path(plan, QEMU_SLOT_INITRD);
        bool tcg = plan->accelerator == ACCELERATOR_TCG;

        add(argv, "-kernel", kernel);
        add(argv, "-initrd", initrd);
        addf(argv, "-append",
                "console=%s%s loglevel=4 rdinit=/init panic=-1 random.trust_cpu=on cryptomgr.notests "
                "rcupdate.rcu_expedited=1%s%s",
                machine->console, machine->append, tcg ? machine->append_tcg : "",
                plan->root_directory ? ROOT_DIRECTORY_APPEND : "");
        if (machine->fw_cfg)
                add_fw_cfg(argv, plan, GUEST_BOOT_ITEM, QEMU_SLOT_BOOT);
        if (plan->credentials)
                add_fw_cfg(argv, plan, GUEST_CREDENTIALS_ITEM, QEMU_SLOT_CREDENTIALS);
}

/* The firmware's code is everybody's and read-only, its variables are the VM's own. */
static void add_flash(GPtrArray *argv, const QEMUPlan *plan, const char *node, QEMUSlot slot, int set) {
        g_autofree char *path = add_file(argv, plan, slot, set);
        bool read_only = slot == QEMU_SLOT_CODE;

        add_json(argv, "-blockdev",
                json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:b, s:s}}", "driver", "raw", "node-name", node, "read-only",
                        read_only, "file", "driver", "file", "filename", path, "read-only", read_only, "locking",
                        "off"));
}

/* What an operating system expects that was made for a PC of its own. */
static void add_uefi(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        if (!plan->uefi)
                return;
        add_flash(argv, plan, "code", QEMU_SLOT_CODE, CODE_FDSET);
        add_flash(argv, plan, "vars", QEMU_SLOT_VARS, VARS_FDSET);
        addf(argv, "-chardev", "socket,id=tpm,fd=%d", qemu_slot_fd(plan, QEMU_SLOT_TPM));
        add(argv, "-tpmdev", "emulator,id=tpm0,chardev=tpm");
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", machine->tpm, "tpmdev", "tpm0"));
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", machine->display, "id", "display0"));
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "qemu-xhci", "id", "usb0"));
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "usb-kbd", "bus", "usb0.0"));
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "usb-tablet", "bus", "usb0.0"));
}

/* A file of ours as a disk that the guest finds by its serial, which is also its name here. */
static void add_image(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine, QEMUSlot slot, int set,
        const char *id, const char *serial) {
        g_autofree char *path = add_file(argv, plan, slot, set);

        add_json(argv, "-blockdev",
                json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:b, s:s}}", "driver", "raw", "node-name", serial, "read-only",
                        true, "file", "driver", "file", "filename", path, "read-only", true, "locking", "off"));
        add_json(argv, "-device",
                json_pack(
                        "{s:s, s:s, s:s, s:s}", "driver", machine->disk, "id", id, "drive", serial, "serial", serial));
}

/* A disk that the guest writes to. What it gives back is given back to the host. */
static void add_disk(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine, int number) {
        g_autofree char *path = g_strdup_printf("/dev/fdset/%d", DISKS_FDSET + number);
        g_autofree char *id = g_strdup_printf("data%d", number), *serial = g_strdup_printf("disk%d", number);

        addf(argv, "-add-fd", "fd=%d,set=%d", qemu_slot_fd(plan, QEMU_SLOT_DISKS) + number, DISKS_FDSET + number);
        add_json(argv, "-blockdev",
                json_pack("{s:s, s:s, s:b, s:s, s:{s:s, s:s, s:s, s:s}}", "driver", "raw", "node-name", serial, "read-only",
                        false, "discard", "unmap", "file", "driver", "file", "filename", path, "discard", "unmap", "locking",
                        "off"));
        add_json(argv, "-device",
                json_pack("{s:s, s:s, s:s, s:s}", "driver", machine->disk, "id", id, "drive", serial, "serial", serial));
}

/* A directory by its descriptor: QEMU knows no path of the host, and walks below it through no link. */
static void add_directory(GPtrArray *argv, const char *tag, const char *path) {
        g_autofree char *quoted = quote_value(path);

        addf(argv, "-fsdev", "local,id=%s,path=%s,security_model=none,readonly=on,multidevs=remap", tag, quoted);
        add_json(argv, "-device",
                json_pack("{s:s, s:s, s:s}", "driver", "virtio-9p-pci", "fsdev", tag, "mount_tag", tag));
}

static void add_share(GPtrArray *argv, const QEMUPlan *plan, int number) {
        g_autofree char *tag = g_strdup_printf("share%d", number),
                        *path = g_strdup_printf("/proc/self/fd/%d", qemu_slot_fd(plan, QEMU_SLOT_SHARES) + number);

        add_directory(argv, tag, path);
}

static void add_root(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        g_autofree char *path = NULL;

        if (!plan->root_directory) {
                add_image(argv, plan, machine, QEMU_SLOT_ROOT, ROOT_FDSET, "disk0", "root");
                return;
        }
        path = slot_path(plan, QEMU_SLOT_ROOT);
        add_directory(argv, GUEST_ROOT_SHARE, path);
}

static void add_images(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        add_root(argv, plan, machine);
        if (plan->volumes)
                add_image(argv, plan, machine, QEMU_SLOT_VOLUMES, VOLUMES_FDSET, "image1", "volumes");
        if (plan->archives)
                add_image(argv, plan, machine, QEMU_SLOT_ARCHIVES, ARCHIVES_FDSET, "image2", "archives");
        for (int i = 0; i < plan->n_disks; i++)
                add_disk(argv, plan, machine, i);
        for (int i = 0; i < plan->n_shares; i++)
                add_share(argv, plan, i);
}

/* Nanos writes into its disk, which is shared: QEMU lays a file over it that has no name any more (in the unit's own
 * /var/tmp) and goes with this boot. The port at 0x501 is how the guest tells its program's exit code. */
static void add_nanos(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        g_autofree char *path = add_file(argv, plan, QEMU_SLOT_ROOT, ROOT_FDSET), *quoted = quote_value(path);

        addf(argv, "-drive", "if=none,id=root,format=raw,file=%s,file.locking=off,snapshot=on", quoted);
        add_json(argv, "-device", json_pack("{s:s, s:s, s:s}", "driver", machine->disk, "id", "disk0", "drive", "root"));
        add_json(argv, "-device", json_pack("{s:s}", "driver", "isa-debug-exit"));
}

/* "7:8:9", the descriptors of a TAP's queues. */
static char *queue_fds(const QEMUPlan *plan) {
        GString *s = g_string_new(NULL);

        for (int i = 0; i < plan->queues; i++)
                g_string_append_printf(s, "%s%d", i > 0 ? ":" : "", qemu_slot_fd(plan, QEMU_SLOT_NET) + i);
        return g_string_free(s, FALSE);
}

static json_t *stream_netdev(const QEMUPlan *plan) {
        g_autofree char *fd = g_strdup_printf("%d", qemu_slot_fd(plan, QEMU_SLOT_NET));

        return json_pack("{s:s, s:s, s:b, s:{s:s, s:s}}", "type", "stream", "id", "net0", "server", false, "addr",
                "type", "fd", "str", fd);
}

static json_t *tap_netdev(const QEMUPlan *plan) {
        g_autofree char *fds = queue_fds(plan);

        return json_pack("{s:s, s:s, s:s}", "type", "tap", "id", "net0", plan->queues > 1 ? "fds" : "fd", fds);
}

static void add_network(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        json_t *nic;

        if (!plan->network)
                return;
        add_json(argv, "-netdev", plan->queues > 0 ? tap_netdev(plan) : stream_netdev(plan));
        nic = json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", machine->nic, "id", "nic0", "netdev", "net0", "mac",
                plan->mac, "romfile", "");
        if (plan->queues > 1) {
                /* A vector for each direction of each queue, one for the configuration, one for control. */
                (void) json_object_set_new(nic, "mq", json_true());
                (void) json_object_set_new(nic, "vectors", json_integer(2 * plan->queues + 2));
        }
        add_json(argv, "-device", nic);
}

static void add_channels(GPtrArray *argv, const QEMUPlan *plan, const Machine *machine) {
        addf(argv, "-chardev", "socket,id=qmp,fd=%d", QEMU_FD_QMP);
        add(argv, "-mon", "chardev=qmp,mode=control");
        if (plan->paths) /* both of them on standard output */
                add(argv, "-chardev", "stdio,id=console,mux=on,signal=off");
        else
                addf(argv, "-chardev", "socket,id=serial,fd=%d", QEMU_FD_SERIAL);
        add(argv, "-serial", plan->paths ? "chardev:console" : "chardev:serial");
        if (plan->nanos)
                return;
        if (plan->paths)
                add(argv, "-chardev", "null,id=guest");
        else {
                addf(argv, "-chardev", "socket,id=console,fd=%d", QEMU_FD_CONSOLE);
                addf(argv, "-chardev", "socket,id=guest,fd=%d", QEMU_FD_GUEST);
        }
        /* Queues with interrupts of their own: on a shared line a busy console makes the kernel switch the line off. */
        add_json(argv, "-device",
                json_pack("{s:s, s:s, s:i, s:i}", "driver", machine->serial, "id", "serial0", "max_ports", 2, "vectors",
                        8));
        add_json(argv, "-device", json_pack("{s:s, s:s}", "driver", "virtconsole", "chardev", "console"));
        add_json(argv, "-device",
                json_pack("{s:s, s:s, s:s}", "driver", "virtserialport", "chardev", "guest", "name", GUEST_PORT_NAME));
}

/* A loader of the bundle's own is given its libraries by an option, which no child inherits. */
static void add_program(GPtrArray *argv, const QEMUPlan *plan) {
        const QEMUBundle *bundle = plan->bundle;
        g_autofree char *base = NULL;

        if (!bundle) {
                g_ptr_array_add(argv, g_strdup(plan->binary));
                return;
        }
        base = slot_path(plan, QEMU_SLOT_BUNDLE);
        if (*bundle->loader) {
                g_ptr_array_add(argv, g_strdup_printf("%s/%s", base, bundle->loader));
                addf(argv, "--library-path", "%s/lib", base);
        }
        g_ptr_array_add(argv, g_strdup_printf("%s/bin/%s", base, bundle->program));
        if (bundle->firmware)
                addf(argv, "-L", "%s/firmware", base);
}

/* QEMU would look for its modules beside its program, by a path that is not there for a VM. */
char **qemu_environment(const QEMUPlan *plan) {
        const QEMUBundle *bundle = plan->bundle;
        g_autofree char *base = bundle ? slot_path(plan, QEMU_SLOT_BUNDLE) : NULL;
        char **environment = g_new0(char *, 3);
        size_t n = 0;

        if (bundle && bundle->libraries && !*bundle->loader)
                environment[n++] = g_strdup_printf("LD_LIBRARY_PATH=%s/lib", base);
        if (bundle && bundle->modules)
                environment[n++] = g_strdup_printf("QEMU_MODULE_DIR=%s/lib/qemu", base);
        return environment;
}

char **qemu_argv(const QEMUPlan *plan) {
        const Machine *machine = machine_find(plan->architecture);

        if (!machine || (plan->uefi && !machine->uefi) || (plan->nanos && (plan->uefi || !machine->nanos)))
                return NULL;

        GPtrArray *argv = g_ptr_array_new();

        add_program(argv, plan);
        add_flags(argv, plan);
        add_machine(argv, plan, machine);
        if (plan->nanos) {
                add_nanos(argv, plan, machine);
        } else {
                add_kernel(argv, plan, machine);
                add_images(argv, plan, machine);
        }
        add_uefi(argv, plan, machine);
        add_network(argv, plan, machine);
        add_channels(argv, plan, machine);
        if (!plan->nanos)
                add_json(argv, "-device", json_pack("{s:s}", "driver", machine->rng));
        /* A guest that runs out of memory takes from it again what it gave: the balloon is a wish, no wall. */
        if (machine->balloon && !plan->nanos)
                add_json(argv, "-device",
                        json_pack(
                                "{s:s, s:s, s:b}", "driver", machine->balloon, "id", "balloon0", "deflate-on-oom", 1));
        g_ptr_array_add(argv, NULL);
        return (char **) g_ptr_array_free(argv, FALSE);
}

char *mac_from_name(const char *name) {
        g_autofree char *h = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, -1);

        return g_strdup_printf("52:54:00:%.2s:%.2s:%.2s", h, h + 2, h + 4);
}

static void add_forwards(GPtrArray *argv, const PasstPlan *plan, PortProtocol protocol, const char *option) {
        bool any = false;

        for (size_t i = 0; i < plan->n_ports; i++) {
                const PortForward *p = &plan->ports[i];

                if (p->protocol != protocol)
                        continue;
                addf(argv, option, "%s/%u:%u", p->address, p->host, p->guest);
                any = true;
        }
        if (!any)
                add(argv, option, "none");
}

char **passt_argv(const PasstPlan *plan) {
        GPtrArray *argv = g_ptr_array_new();

        g_ptr_array_add(argv, g_strdup(plan->binary));
        g_ptr_array_add(argv, g_strdup("--quiet"));
        if (plan->foreground)
                g_ptr_array_add(argv, g_strdup("--foreground"));
        addf(argv, "--fd", "%d", PASST_FD);
        add(argv, "--address", USER_NET_ADDRESS);
        addf(argv, "--netmask", "%d", USER_NET_PREFIX);
        add(argv, "--gateway", PASST_GATEWAY);
        add(argv, "--gateway", PASST_GATEWAY6);
        add_forwards(argv, plan, PORT_TCP, "--tcp-ports");
        add_forwards(argv, plan, PORT_UDP, "--udp-ports");
        g_ptr_array_add(argv, NULL);
        return (char **) g_ptr_array_free(argv, FALSE);
}

char **swtpm_argv(const char *binary, const char *path) {
        GPtrArray *argv = g_ptr_array_new();

        g_ptr_array_add(argv, g_strdup(binary));
        g_ptr_array_add(argv, g_strdup("socket"));
        g_ptr_array_add(argv, g_strdup("--tpm2"));
        addf(argv, "--ctrl", "type=unixio,clientfd=%d", TPM_FD);
        if (path)
                addf(argv, "--tpmstate", "backend-uri=file://%s", path);
        else
                addf(argv, "--tpmstate", "backend-uri=file:///proc/self/fd/%d", TPM_STATE_FD);
        add(argv, "--flags", "not-need-init");
        g_ptr_array_add(argv, g_strdup("--terminate"));
        g_ptr_array_add(argv, NULL);
        return (char **) g_ptr_array_free(argv, FALSE);
}
