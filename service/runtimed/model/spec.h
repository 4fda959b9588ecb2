/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/port.h"
#include "model/probe.h"
#include "model/problem.h"
#include "model/state.h"
#include "model/vm-limits.h"

/*
 * What a VM is asked to be: the spec of CreateVM, RunVM, ValidateVM, GetSpec and of the record on disk. One table of
 * keys serves them all: name on the bus, D-Bus signature, field in the record, parser, printer.
 * On its way the spec is a JSON object keyed by bus names (the bus turns a{sv} into it and back by the signatures;
 * t, u and q are JSON integers, b a boolean, as an array, a{ss} and a{sv} an object), so the model knows no message. Of
 * a{say} it has the sizes alone: {NAME: bytes}, 0 where they are not known any more; of a(sh) the strings, as an array;
 * of a(sts) an array of arrays.
 */

#define NETWORK_USER "user"
#define NETWORK_NONE "none"
#define TARGET_LINUX "linux"
#define TARGET_NANOS "nanos"

typedef struct DiskSpec {
        char *path;     /* in the guest */
        uint64_t bytes; /* 0: as it is */
        char *name;     /* among its owner's */
} DiskSpec;

typedef struct VMSpec {
        char *image;        /* reference or digest; "" with root_directory */
        char *target;       /* TARGET_LINUX, TARGET_NANOS */
        char *root_directory; /* of the host, in place of an image, seen by 9p as it is, read-only; "": the image */
        char **command;     /* replaces the image's Cmd (and Entrypoint stays), empty: the image's */
        char **environment; /* KEY=VALUE, over the image's */
        char *user;         /* "" the image's */
        char *hostname;     /* "" the VM's name (its first label) */
        char *working_directory;
        uint32_t memory_mib;
        uint32_t vcpus;
        char *network; /* NETWORK_USER, NETWORK_NONE, or the name of a network */
        char *address; /* "" any; IPv4 wished on a network */
        char **dns;    /* addresses; empty: the host's */
        PortForward *ports;
        size_t n_ports;
        char *kernel;       /* "" the newest suitable of the host; else a version as in /lib/modules */
        char *architecture; /* "x86_64" */
        char *profile;      /* "" the one that fits */
        Accelerator accelerator;
        char *restart;         /* model/restart.h */
        uint64_t stop_timeout; /* usec */
        GHashTable *labels;    /* char* -> char*; NULL: there are none */
        bool ephemeral;        /* removed when it stops */
        char **credentials;    /* names, sorted; the values are in no spec, see SpecPayload */
        char **volumes;        /* HOST:GUEST, model/mount.h: baked into an image of the VM's own */
        char **shares;         /* HOST:GUEST, seen by 9p as they are, read-only */
        DiskSpec *disks;       /* persistent, of its owner */
        size_t n_disks;
        char **archives;       /* paths in the guest; the tars are in the SpecPayload */
        Probe ready, health;   /* kind PROBE_NONE: not asked for */
        VMLimits limits;
} VMSpec;

/* Limits that depend on the host and the configuration. */
typedef struct SpecLimits {
        uint32_t memory_mib_default, memory_mib_max; /* min is SPEC_MEMORY_MIN */
        uint32_t vcpus_default, vcpus_max;
        uint64_t stop_timeout_default;
        const char *default_network;
        const char *architecture;        /* of the host */
        const char *const *architectures; /* of guests, the host's first; NULL: the host's only */
        const char *const *profiles;     /* that there are; NULL: none */
        const char *const *volume_roots; /* where paths of the host may be; NULL: nowhere */
        bool form_only;                  /* a record's: what this host can give is not looked at */
} SpecLimits;

#define SPEC_MEMORY_MIN 64U /* MiB; below a Linux guest does not boot */
/* A Nanos guest whose program does not obey SIGTERM powers itself off after 30 s; a fifth of the time is for QEMU. */
#define SPEC_NANOS_STOP_TIMEOUT (40ULL * 1000000ULL)
#define SPEC_NANOS_MEMORY_MIN 32U /* MiB */
#define SPEC_STOP_TIMEOUT_MAX (3600ULL * 1000000ULL)
#define SPEC_STRINGS_MAX 1024U       /* elements of Command, Environment */
#define SPEC_STRING_BYTES_MAX 32768U /* of one element */
#define SPEC_BYTES_MAX 65536U        /* Command and Environment together */
#define SPEC_PORTS_MAX 64U
#define SPEC_DNS_MAX 4U
#define SPEC_LABELS_MAX 64U
#define SPEC_LABEL_BYTES_MAX 4096U /* of all of them together, keys and values */
#define SPEC_VOLUMES_MAX 32U
#define SPEC_ARCHIVES_MAX 8U
#define SPEC_SHARES_MAX 8U
#define SPEC_DISKS_MAX 12U
#define SPEC_DISK_BYTES_MIN (16ULL << 20)
#define SPEC_DISK_BYTES_MAX (16ULL << 40)
#define SPEC_DISK_BYTES_UNIT 4096U
#define SPEC_CREDENTIALS_MAX 32U
#define SPEC_CREDENTIAL_NAME_MAX 64U
#define SPEC_CREDENTIAL_BYTES_MAX 65536U /* of all values together */
#define SPEC_PROBLEMS_MAX 64U            /* found in one spec; what comes after is not told */

bool spec_is_nanos(const VMSpec *spec);

/* Neither user networking nor none: a bridge. */
bool network_is_bridge(const char *network);

/* mcp-passt, which has its network, makes its probes of kind tcp and http: nobody inside could. */
bool spec_is_probed_by_frames(const VMSpec *spec);

/* What may be in a value of signature a{sv}; ends with a NULL name. */
typedef struct SpecMember {
        const char *name;
        const char *signature;
} SpecMember;

typedef struct SpecKey {
        const char *name;              /* on the bus: "MemoryMiB" */
        const char *signature;         /* "u" */
        const char *record;            /* in the record: "memory_mb" */
        const struct SpecField *field; /* how it is kept and checked, the model's own */
        const SpecMember *members;     /* of an a{sv} */
} SpecKey;

/* The table; ends with a NULL name. */
const SpecKey *spec_keys(void);
const SpecKey *spec_key_find(const char *name);

/* Parses and checks everything at once. problems (GPtrArray of Problem, with free function) takes every problem found,
 * in the order of the keys; unknown keys are problems too, by name, with the nearest known key where one is near.
 * Returns 0 and *ret, or -EINVAL when there is any problem. */
int vm_spec_parse(json_t *object, const SpecLimits *limits, GPtrArray *problems, VMSpec **ret);

/* The same of a VM's record, whose other fields are not looked at: a record beyond today's limits is still a record, so
 * only the form is checked against them. problems must be empty. */
int vm_spec_parse_record(json_t *record, const SpecLimits *limits, GPtrArray *problems, VMSpec **ret);

/* The whole spec keyed by bus names, defaults filled in; new reference. Round trip with vm_spec_parse(). */
json_t *vm_spec_to_json(const VMSpec *spec);

/* The names in {NAME: bytes}, sorted, checked as the spec's key; -EINVAL with problems. The caller's. */
int spec_credential_names(json_t *sizes, GPtrArray *problems, char ***ret);

VMSpec *vm_spec_copy(const VMSpec *spec);
void vm_spec_free(VMSpec *spec);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VMSpec, vm_spec_free)
