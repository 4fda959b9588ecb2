/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "model/problem.h"
#include "model/state.h"

/*
 * The four QEMU profiles as facts: what each needs, which guests it takes, and which of them a wish selects. Pure: what
 * the host can do comes in as values.
 */

typedef enum ProfileId {
        PROFILE_KVM_LINUX,
        PROFILE_KVM_UEFI,
        PROFILE_EMULATE_X86,
        PROFILE_EMULATE_FOREIGN,
        PROFILE_MAX,
        PROFILE_INVALID = -1,
} ProfileId;

#define PROFILE_NAMES "'kvm-linux', 'kvm-uefi', 'emulate-x86', 'emulate-foreign'"
#define PROFILE_ARCHITECTURES "'x86_64', 'aarch64', 'arm', 'riscv64', 'mips', 'ppc64'"

const char *profile_to_string(ProfileId p);
ProfileId profile_from_string(const char *s);

bool profile_needs_kvm(ProfileId p);
bool profile_needs_tcg(ProfileId p);
Accelerator profile_accelerator(ProfileId p); /* never ACCELERATOR_AUTO */

/* QEMU's name of an architecture, static: itself, or what other tools call it (amd64, arm64, ""=x86_64). NULL where no
 * profile has it. */
const char *profile_architecture(const char *name);

/* Whether the profile runs guests of the architecture (QEMU's name) on such a host. */
bool profile_takes(ProfileId p, const char *architecture, const char *host);

/* The architectures it takes, NULL-terminated; the caller frees the array only (g_free()). */
const char **profile_architectures(ProfileId p, const char *host);

/* "qemu-system-ARCHITECTURE"; x86_64 for "". The caller frees. */
char *profile_binary_name(const char *architecture);

/* What a host is, as far as the choice needs it. */
typedef struct ProfileHost {
        const char *architecture; /* QEMU's name */
        bool kvm;                 /* a guest has run under KVM in this boot */
} ProfileHost;

/* hybrid-emulated: emulate-foreign for an architecture other than x86, else emulate-x86.
 * hybrid-kvm: kvm-uefi for os windows or uefi, else kvm-linux; for a foreign architecture, which KVM cannot run, as
 * hybrid-emulated. Every other mode: kvm-linux where KVM runs guests and the architecture is the host's, else as
 * hybrid-emulated. An architecture that no profile has is NotSupported. *ret_reason, where it is wanted, is a sentence;
 * the caller frees. */
int profile_select(const char *mode, const char *architecture, const char *os, const ProfileHost *host, ProfileId *ret,
        char **ret_reason, Problem **ret_problem);
