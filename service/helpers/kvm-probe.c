/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mcp-kvm-probe: the main process of mcp-kvm-probe@N.service. Finds out whether a guest really runs under KVM here:
 * some bytes of code must get from real mode to long mode, write a port and halt. --print tells people instead of the
 * daemon. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/fd.h"
#include "shared/launch-wire.h"
#include "shared/wire.h"

#define GUEST_TIME_MAX_USEC (2U * 1000U * 1000U)
#define POLL_USEC 2000U

/* What the probe found; in memory that both processes see. */
struct result {
        bool done, usable;
        char message[160];
};

__attribute__((format(printf, 3, 4))) static int found(struct result *result, bool usable, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(result->message, sizeof result->message, format, ap);
        va_end(ap);
        result->usable = usable;
        __atomic_store_n(&result->done, true, __ATOMIC_RELEASE);
        return usable ? EXIT_SUCCESS : EXIT_FAILURE;
}

#ifdef __x86_64__

#define MEMORY_SIZE (64U * 1024U)
#define PML4_AT 0x1000U
#define PDPT_AT 0x2000U
#define PD_AT 0x3000U
#define CODE_AT 0x4000U
#define PROBE_PORT 0xf4U
#define PROBE_VALUE 0x2aU
#define TSS_AT 0xfffbd000U          /* three pages that KVM on old Intel CPUs wants for real mode */
#define IDENTITY_MAP_AT 0xfffbc000U /* and one more */

#define CPUID_MAX 256U

#define PAGE_PRESENT_WRITABLE 3ULL
#define PAGE_HUGE (1ULL << 7)

/*
 * The guest goes the way of firmware and kernel: from real mode through protected mode to long mode. The loop in
 * protected mode takes some milliseconds on a CPU; where KVM only emulates that mode, instruction by instruction, it
 * takes many seconds, as would any firmware. (kvm_pvm does: a guest that begins in long mode runs well in it, and
 * QEMU's firmware seems to hang.) The value is loaded in 64 bits, so that it is right in long mode only.
 */
#define AT(label) "(" label " - guest_code + 0x4000)" /* CODE_AT */

__asm__(".pushsection .rodata\n"
        "guest_code:\n"
        "        .code16\n"
        "        cli\n"
        "        lgdtl   " AT("gdt_pointer") "\n"
                                             "        movl    %cr0, %eax\n"
                                             "        orl     $1, %eax\n"
                                             "        movl    %eax, %cr0\n"
                                             "        ljmpl   $8, $" AT(
                                                     "protected_mode") "\n"
                                                                       "        .code32\n"
                                                                       "protected_mode:\n"
                                                                       "        movw    $16, %ax\n"
                                                                       "        movw    %ax, %ds\n"
                                                                       "        movw    %ax, %ss\n"
                                                                       "        movl    $4000000, %ecx\n"
                                                                       "1:      decl    %ecx\n"
                                                                       "        jnz     1b\n"
                                                                       "        movl    $0x20, %eax\n" /* PAE */
                                                                       "        movl    %eax, %cr4\n"
                                                                       "        movl    $0x1000, %eax\n" /* PML4_AT */
                                                                       "        movl    %eax, %cr3\n"
                                                                       "        movl    $0xc0000080, %ecx\n" /* EFER:
                                                                                                                long
                                                                                                                mode
                                                                                                                enable
                                                                                                              */
                                                                       "        rdmsr\n"
                                                                       "        orl     $0x100, %eax\n"
                                                                       "        wrmsr\n"
                                                                       "        movl    %cr0, %eax\n"
                                                                       "        orl     $0x80000000, %eax\n"
                                                                       "        movl    %eax, %cr0\n"
                                                                       "        ljmpl   $24, $" AT(
                                                                               "long_mode") "\n"
                                                                                            "        .code64\n"
                                                                                            "long_mode:\n"
                                                                                            "        movabsq "
                                                                                            "$0x10000002a, %rax\n" /* PROBE_VALUE
                                                                                                                    */
                                                                                            "        shlq    $1, %rax\n"
                                                                                            "        shrq    $1, %rax\n"
                                                                                            "        outb    %al, "
                                                                                            "$0xf4\n" /* PROBE_PORT */
                                                                                            "        hlt\n"
                                                                                            "        .balign 8\n"
                                                                                            "gdt:    .quad   0, "
                                                                                            "0x00cf9b000000ffff, "
                                                                                            "0x00cf93000000ffff, "
                                                                                            "0x00af9b000000ffff\n"
                                                                                            "gdt_pointer:\n"
                                                                                            "        .word   31\n"
                                                                                            "        .long   " AT(
                                                                                                    "gdt") "\n"
                                                                                                           "guest_code_"
                                                                                                           "end:\n"
                                                                                                           "        "
                                                                                                           ".popsection"
                                                                                                           "\n");

extern const uint8_t guest_code[], guest_code_end[];

struct machine {
        int kvm, vm, vcpu;
        struct kvm_run *run;
        size_t run_size;
};

static int open_machine(struct machine *m, struct result *result) {
        int version;

        m->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
        if (m->kvm < 0)
                return found(result, false, "/dev/kvm: %s", strerror(errno));
        version = ioctl(m->kvm, KVM_GET_API_VERSION, 0);
        if (version != KVM_API_VERSION)
                return found(result, false, "/dev/kvm speaks version %d, not %d", version, KVM_API_VERSION);
        m->vm = ioctl(m->kvm, KVM_CREATE_VM, 0);
        if (m->vm < 0)
                return found(result, false, "KVM_CREATE_VM: %s", strerror(errno));
        /* Not all need them, and then not all take them. */
        (void) ioctl(m->vm, KVM_SET_IDENTITY_MAP_ADDR, &(uint64_t){IDENTITY_MAP_AT});
        (void) ioctl(m->vm, KVM_SET_TSS_ADDR, TSS_AT);
        m->vcpu = ioctl(m->vm, KVM_CREATE_VCPU, 0);
        if (m->vcpu < 0)
                return found(result, false, "KVM_CREATE_VCPU: %s", strerror(errno));
        return EXIT_SUCCESS;
}

/* Without these the guest's CPU has no long mode to enter. */
static int set_cpuid(struct machine *m, struct result *result) {
        struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + CPUID_MAX * sizeof *cpuid->entries);
        bool done;

        if (!cpuid)
                return found(result, false, "no memory for a test guest");
        cpuid->nent = CPUID_MAX;
        done = ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) >= 0 && ioctl(m->vcpu, KVM_SET_CPUID2, cpuid) >= 0;
        free(cpuid);
        return done ? EXIT_SUCCESS : found(result, false, "KVM_SET_CPUID2: %s", strerror(errno));
}

/* One 2 MiB page maps the memory to itself. */
static void fill_memory(uint8_t *memory) {
        const uint64_t pml4 = PDPT_AT | PAGE_PRESENT_WRITABLE, pdpt = PD_AT | PAGE_PRESENT_WRITABLE,
                       pd = PAGE_PRESENT_WRITABLE | PAGE_HUGE;

        memcpy(memory + PML4_AT, &pml4, sizeof pml4);
        memcpy(memory + PDPT_AT, &pdpt, sizeof pdpt);
        memcpy(memory + PD_AT, &pd, sizeof pd);
        memcpy(memory + CODE_AT, guest_code, (size_t) (guest_code_end - guest_code));
}

static int map_memory(struct machine *m, struct result *result) {
        struct kvm_userspace_memory_region region = {.memory_size = MEMORY_SIZE};
        int size = ioctl(m->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
        uint8_t *memory;

        memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED || size < (int) sizeof *m->run)
                return found(result, false, "no memory for a test guest");
        fill_memory(memory);
        region.userspace_addr = (uintptr_t) memory;
        if (ioctl(m->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
                return found(result, false, "KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
        m->run = mmap(NULL, (size_t) size, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu, 0);
        if (m->run == MAP_FAILED)
                return found(result, false, "no access to the vCPU: %s", strerror(errno));
        return EXIT_SUCCESS;
}

static int set_registers(struct machine *m, struct result *result) {
        struct kvm_regs regs = {.rip = CODE_AT, .rflags = 2};
        struct kvm_sregs s;

        if (ioctl(m->vcpu, KVM_GET_SREGS, &s) < 0)
                return found(result, false, "KVM_GET_SREGS: %s", strerror(errno));
        /* Real mode as after a reset, but the code is low. */
        s.cs.base = 0;
        s.cs.selector = 0;
        if (ioctl(m->vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(m->vcpu, KVM_SET_REGS, &regs) < 0)
                return found(result, false, "KVM_SET_SREGS: %s", strerror(errno));
        return EXIT_SUCCESS;
}

/* Runs the guest up to its halt. */
static int run_guest(struct machine *m, struct result *result) {
        bool written = false;

        for (unsigned exits = 0; exits < 16; exits++) {
                if (ioctl(m->vcpu, KVM_RUN, 0) < 0) {
                        if (errno == EINTR || errno == EAGAIN)
                                continue;
                        return found(result, false, "KVM_RUN: %s", strerror(errno));
                }
                if (m->run->exit_reason == KVM_EXIT_IO && m->run->io.direction == KVM_EXIT_IO_OUT &&
                        m->run->io.port == PROBE_PORT)
                        written = ((const uint8_t *) m->run)[m->run->io.data_offset] == PROBE_VALUE;
                else if (m->run->exit_reason == KVM_EXIT_HLT && written)
                        return found(result, true, "a test guest ran in KVM");
                else
                        return found(result, false, "a test guest left KVM with reason %u", m->run->exit_reason);
        }
        return found(result, false, "a test guest left KVM again and again");
}

static int probe(struct result *result) {
        struct machine m = {};
        int r;

        r = open_machine(&m, result);
        if (r == EXIT_SUCCESS)
                r = set_cpuid(&m, result);
        if (r == EXIT_SUCCESS)
                r = map_memory(&m, result);
        if (r == EXIT_SUCCESS)
                r = set_registers(&m, result);
        return r == EXIT_SUCCESS ? run_guest(&m, result) : r;
}

#else

static int probe(struct result *result) {
        return found(result, false, "this build has a test guest for x86_64 only");
}

#endif

/* The guest runs in a process of its own: KVM_RUN may never return, and then even SIGKILL may have to wait. */
static void probe_in_time(struct result *result) {
        uint64_t end = now_monotonic() + GUEST_TIME_MAX_USEC;
        pid_t pid = fork();

        if (pid < 0) {
                (void) found(result, false, "no process for a test guest: %s", strerror(errno));
                return;
        }
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                _exit(probe(result));
        }
        while (!__atomic_load_n(&result->done, __ATOMIC_ACQUIRE) && now_monotonic() < end) {
                if (waitpid(pid, NULL, WNOHANG) == pid)
                        break;
                (void) usleep(POLL_USEC);
        }
        if (!__atomic_load_n(&result->done, __ATOMIC_ACQUIRE))
                (void) found(result, false,
                        now_monotonic() < end ? "the process of a test guest died"
                                              : "a test guest did not finish within 2 s");
        (void) kill(pid, SIGKILL);
}

/* A copy, because a child that hangs could still write into the shared one. */
static struct result probe_result(void) {
        struct result *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct result copy = {};

        if (shared == MAP_FAILED) {
                (void) found(&copy, false, "no memory for a test guest: %s", strerror(errno));
                return copy;
        }
        probe_in_time(shared);
        copy = *shared;
        copy.message[sizeof copy.message - 1] = 0;
        return copy;
}

static int tell_daemon(void) {
        int fds[LAUNCH_FDS_MAX], sock, r;
        struct result result;
        json_t *message;
        size_t n_fds;

        sock = wire_connect(NULL);
        r = sock < 0 ? sock : wire_recv(sock, &message, fds, &n_fds);
        if (r <= 0) {
                (void) fprintf(
                        stderr, "mcp-kvm-probe: no launch message: %s\n", r < 0 ? strerror(-r) : "connection closed");
                (void) close_fd(sock);
                return EXIT_FAILURE;
        }
        while (n_fds > 0)
                (void) close_fd(fds[--n_fds]);
        if (strcmp(wire_type(message), "launch") == 0) {
                result = probe_result();
                r = wire_send_new(sock, json_pack("{s:s, s:b, s:s}", "type", "done", "usable", (int) result.usable,
                                                "message", result.message));
        }
        json_decref(message);
        (void) close_fd(sock);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
        struct result result;

        if (argc == 1)
                return tell_daemon();
        if (argc > 2 || strcmp(argv[1], "--print") != 0) {
                (void) fprintf(stderr, "usage: mcp-kvm-probe [--print]\n");
                return EXIT_FAILURE;
        }
        result = probe_result();
        (void) printf("%s: %s\n", result.usable ? "usable" : "not usable", result.message);
        return EXIT_SUCCESS;
}
