/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Names of VMs, and what systemd makes of them. */

#define VM_NAME_MAX 63U
#define UNIT_INSTANCE_MAX 24U

/* [a-z0-9][a-z0-9._-]{0,62} */
bool vm_name_is_valid(const char *name);
#define VM_NAME_ACCEPTED "a lower-case letter or digit, then up to 62 of [a-z0-9._-]"

/* The instance of the VM's units: the name itself where it fits [a-z0-9][a-z0-9_-]{0,23}, else its first 15 characters
 * with dots as '-', '-' and 8 hex digits of SHA-256(name): a systemd user name "mcp-vm-INSTANCE" ends at 31 characters
 * and takes no dot. Two names may meet in one instance; who creates VMs refuses the second. Caller frees (g_free). */
char *vm_unit_instance(const char *name);

/* [registry/]path[:tag][@sha256:hex], as OCI distribution-spec 1.1 and docker references have it, at most 512 bytes. */
bool image_reference_is_valid(const char *reference);
#define IMAGE_REFERENCE_MAX 512U

/* The tag of a reference, "latest" where it has none ("" with a digest only). Caller frees. */
char *image_reference_tag(const char *reference);

/* host[:port], the host a name, an IPv4 address or an IPv6 address in brackets. */
bool registry_name_is_valid(const char *registry);

/* The parts of a reference. */
typedef struct ImageReference {
        char *registry; /* NULL: it names none */
        char *path;     /* in the registry */
        char *tag;      /* "latest" where neither tag nor digest is given; NULL with a digest alone */
        char *digest;   /* NULL without */
} ImageReference;

/* -EINVAL for what is no reference. */
int image_reference_split(const char *reference, ImageReference *ret);
void image_reference_clear(ImageReference *r);

/* "sha256:" and 64 lower-case hex digits. */
bool digest_is_valid(const char *digest);
