/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the table of profiles and the choice among them. */
#include "qemu/profile-table.h"

#include <string.h>

typedef struct ProfileRow {
        const char *name;
        Accelerator accelerator;
        const char *architectures[6]; /* NULL-terminated; KVM's are further narrowed to the host's own */
} ProfileRow;

static const char *const architectures[] = {"x86_64", "aarch64", "arm", "riscv64", "mips", "ppc64"};

/* OVMF and its peer for aarch64 are the firmware that Windows and UEFI guests know. */
static const ProfileRow rows[PROFILE_MAX] = {
        [PROFILE_KVM_LINUX] = {"kvm-linux", ACCELERATOR_KVM, {"x86_64", "aarch64", "riscv64", "ppc64"}},
        [PROFILE_KVM_UEFI] = {"kvm-uefi", ACCELERATOR_KVM, {"x86_64", "aarch64"}},
        [PROFILE_EMULATE_X86] = {"emulate-x86", ACCELERATOR_TCG, {"x86_64"}},
        [PROFILE_EMULATE_FOREIGN] = {"emulate-foreign", ACCELERATOR_TCG,
                {"aarch64", "arm", "riscv64", "mips", "ppc64"}},
};

static const struct {
        const char *alias, *name;
} aliases[] = {{"", "x86_64"}, {"amd64", "x86_64"}, {"x86-64", "x86_64"}, {"arm64", "aarch64"}};

const char *profile_to_string(ProfileId p) {
        return p >= 0 && p < PROFILE_MAX ? rows[p].name : NULL;
}

ProfileId profile_from_string(const char *s) {
        for (ProfileId p = 0; p < PROFILE_MAX; p++)
                if (g_strcmp0(rows[p].name, s) == 0)
                        return p;
        return PROFILE_INVALID;
}

bool profile_needs_kvm(ProfileId p) {
        return rows[p].accelerator == ACCELERATOR_KVM;
}

bool profile_needs_tcg(ProfileId p) {
        return rows[p].accelerator == ACCELERATOR_TCG;
}

Accelerator profile_accelerator(ProfileId p) {
        return rows[p].accelerator;
}

const char *profile_architecture(const char *name) {
        for (size_t i = 0; i < G_N_ELEMENTS(aliases); i++)
                if (g_str_equal(aliases[i].alias, name))
                        return aliases[i].name;
        for (size_t i = 0; i < G_N_ELEMENTS(architectures); i++)
                if (g_str_equal(architectures[i], name))
                        return architectures[i];
        return NULL;
}

bool profile_takes(ProfileId p, const char *architecture, const char *host) {
        if (profile_needs_kvm(p) && !g_str_equal(architecture, host))
                return false;
        for (const char *const *a = rows[p].architectures; *a; a++)
                if (g_str_equal(*a, architecture))
                        return true;
        return false;
}

const char **profile_architectures(ProfileId p, const char *host) {
        const char **taken = g_new0(const char *, G_N_ELEMENTS(rows[p].architectures) + 1);
        size_t n = 0;

        for (const char *const *a = rows[p].architectures; *a; a++)
                if (profile_takes(p, *a, host))
                        taken[n++] = *a;
        return taken;
}

char *profile_binary_name(const char *architecture) {
        return g_strconcat("qemu-system-", *architecture ? architecture : "x86_64", NULL);
}

static ProfileId emulated(const char *architecture) {
        return g_str_equal(architecture, "x86_64") ? PROFILE_EMULATE_X86 : PROFILE_EMULATE_FOREIGN;
}

static bool wants_uefi(const char *os) {
        return g_ascii_strcasecmp(os, "windows") == 0 || g_ascii_strcasecmp(os, "uefi") == 0;
}

/* The choice and, in words, why. */
static ProfileId choose(
        const char *mode, const char *architecture, const char *os, const ProfileHost *host, const char **why) {
        bool foreign = !g_str_equal(architecture, host->architecture);

        if (g_str_equal(mode, "hybrid-emulated")) {
                *why = "the mode emulates";
                return emulated(architecture);
        }
        if (foreign) {
                *why = "KVM runs guests of the host's own architecture only";
                return emulated(architecture);
        }
        if (g_str_equal(mode, "hybrid-kvm")) {
                *why = wants_uefi(os) ? "the mode is KVM's and the guest's system is started by UEFI firmware"
                                      : "the mode is KVM's and the guest's kernel is started directly";
                return wants_uefi(os) ? PROFILE_KVM_UEFI : PROFILE_KVM_LINUX;
        }
        *why = host->kvm ? "KVM runs guests on this host" : "KVM runs no guest on this host";
        return host->kvm ? PROFILE_KVM_LINUX : emulated(architecture);
}

int profile_select(const char *mode, const char *architecture, const char *os, const ProfileHost *host, ProfileId *ret,
        char **ret_reason, Problem **ret_problem) {
        const char *known = profile_architecture(architecture), *why;
        ProfileId p;

        if (!known) {
                g_autofree char *quoted = problem_quote(architecture);

                return problem_set(ret_problem, "NotSupported", NULL,
                        "no profile runs guests of architecture %s; known are " PROFILE_ARCHITECTURES, quoted);
        }
        p = choose(mode, known, os, host, &why);
        if (ret_reason)
                *ret_reason = g_strdup_printf("%s takes %s guests: %s", rows[p].name, known, why);
        *ret = p;
        return 0;
}
