/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the table of machines, a row an architecture. */
#include "qemu/machine-table.h"

#include <stddef.h>
#include <string.h>

static const Firmware ovmf = {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", "ovmf"};
static const Firmware aavmf = {"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd", "qemu-efi-aarch64"};

#define VIRTIO_PCI                                                                                                     \
        .disk = "virtio-blk-pci", .nic = "virtio-net-pci", .serial = "virtio-serial-pci", .rng = "virtio-rng-pci",     \
        .balloon = "virtio-balloon-pci"

static const Machine machines[] = {
        /* What a microVM never uses is off: each device the kernel does not find is time won under TCG. ACPI stays: the
         * power button and power-off need it. CPU max: images built for x86-64-v3 run under TCG, too. noreplace-smp
         * saves patching the locks out of the kernel, which costs TCG its translations. no_timer_check: the kernel looks
         * whether timer interrupts come as often as its counter says, and panics where a busy host runs us too seldom. */
        {
                .architecture = "x86_64",
                .image = "x86_64",
                .machine = "q35,usb=off,vmport=off,smm=off,hpet=off,sata=off,smbus=off,i8042=off,dump-guest-core=off",
                .nanos = "q35,usb=off,vmport=off,dump-guest-core=off", /* it uses the HPET */
                .tcg_cpu = "max",
                .console = "ttyS0",
                .program = "hvc0",
                .append = " edd=off",
                .append_tcg = " noreplace-smp no_timer_check",
                VIRTIO_PCI,
                .display = "VGA",
                .tpm = "tpm-crb",
                .fw_cfg = true,
                .uefi = &ovmf,
                .package = "qemu-system-x86",
                .kernel = "linux-image-cloud-amd64",
                .compiler = "gcc-x86-64-linux-gnu",
        },
        /* A real CPU's model: max has pointer authentication, which TCG computes at every call. */
        {
                .architecture = "aarch64",
                .image = "aarch64",
                .machine = "virt,gic-version=max,dump-guest-core=off",
                .tcg_cpu = "cortex-a72",
                .console = "ttyAMA0",
                .program = "hvc0",
                .append = "",
                .append_tcg = "",
                VIRTIO_PCI,
                .display = "virtio-gpu-pci",
                .tpm = "tpm-tis-device",
                .fw_cfg = true,
                .uefi = &aavmf,
                .package = "qemu-system-arm",
                .kernel = "linux-image-cloud-arm64",
                .compiler = "gcc-aarch64-linux-gnu",
        },
        /* highmem=off: a kernel without LPAE finds PCI below 4 GiB only. Debian's kernels for it have no driver of fw_cfg. */
        {
                .architecture = "arm",
                .image = "arm",
                .machine = "virt,highmem=off,dump-guest-core=off",
                .tcg_cpu = "cortex-a15",
                .console = "ttyAMA0",
                .program = "hvc0",
                .append = "",
                .append_tcg = "",
                VIRTIO_PCI,
                .package = "qemu-system-arm",
                .kernel = "linux-image-armmp",
                .compiler = "gcc-arm-linux-gnueabihf",
        },
        /* Its fw_cfg comes too late for QEMU's option of that name. */
        {
                .architecture = "riscv64",
                .image = "riscv64",
                .machine = "virt,dump-guest-core=off",
                .tcg_cpu = "rv64",
                .console = "ttyS0",
                .program = "hvc0",
                .append = "",
                .append_tcg = "",
                VIRTIO_PCI,
                .package = "qemu-system-misc",
                .kernel = "linux-image-riscv64",
                .compiler = "gcc-riscv64-linux-gnu",
        },
        {
                .architecture = "mips",
                .image = "mips",
                .machine = "malta,dump-guest-core=off",
                .tcg_cpu = "24Kf",
                .console = "ttyS0",
                .program = "hvc0",
                .append = "",
                .append_tcg = "",
                VIRTIO_PCI,
                .package = "qemu-system-mips",
                .kernel = "linux-image-4kc-malta",
                .compiler = "gcc-mips-linux-gnu",
        },
        /* The hypervisor's terminal is hvc0 here. The capabilities are those that TCG does not have. The kernels that
         * there are, are little-endian, and so are the images. */
        {
                .architecture = "ppc64",
                .image = "ppc64le",
                .machine = "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off,"
                           "dump-guest-core=off",
                .tcg_cpu = "power9",
                .console = "hvc0",
                .program = "hvc1",
                .append = "",
                .append_tcg = "",
                VIRTIO_PCI,
                .package = "qemu-system-ppc",
                .kernel = "linux-image-powerpc64le",
                .compiler = "gcc-powerpc64le-linux-gnu",
        },
        {NULL},
};

const Machine *machine_table(void) {
        return machines;
}

const Machine *machine_find(const char *architecture) {
        for (const Machine *m = machines; m->architecture; m++)
                if (strcmp(m->architecture, architecture) == 0)
                        return m;
        return NULL;
}
