/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/spec.h"

/*
 * The record of a VM on disk, one JSON file: the field names of the system this service replaces (name image user
 * restart ports volumes cmd memory_mb vcpus image_hash ip started) plus "version": 1 and ours. Times are RFC 3339 UTC
 * with microseconds in the file, microseconds since the epoch here. What is in the file is what must survive a daemon's
 * death: the wish (spec), the identity, and how the last boot went; never a pid.
 */

#define RECORD_VERSION 1
#define RECORD_BYTES_MAX (1024U * 1024U)

typedef struct VMRecord {
        char *name;
        char *uuid; /* lower-case, RFC 4122 text */
        uint32_t owner;
        char *owner_name; /* user name at creation, "" unknown */
        VMSpec *spec;
        char *image_digest; /* manifest digest the image was resolved to, "" before */
        char *image_hash;   /* hex SHA-256 of the root image, "" before */
        VMState state;      /* last one written: active states are checked against the living at load */
        char *state_reason;
        ExitReason exit_reason;
        int32_t exit_code;
        uint64_t created_at, started_at, exited_at;
        uint32_t boot_id;
        uint32_t restart_count; /* since the last start by request */
        uint32_t restart_row;   /* restarts in a row, for the delay */
        uint64_t restart_at;    /* when the next one is due, 0: none is */
        bool pulling;           /* made before its image is there: it goes where that does not come */
        bool wanted;            /* started, and not stopped, by request */
        char *accelerator;      /* of the last boot: "kvm", "tcg" or "" */
        char *profile_digest;   /* of the profile's assembly that it ran; "" the host's QEMU */
        char *profile;          /* likewise, its name */
        char *host_boot;        /* /proc/sys/kernel/random/boot_id at the last start, "" */
        char *unit;             /* instance */
        char *address, *mac;    /* lease on its network, "" without one */
        uint16_t *host_ports;   /* of the present boot, one for each port of the spec; NULL: as the spec says */
} VMRecord;

/* New reference; always a whole record. */
json_t *vm_record_to_json(const VMRecord *r);

/* 0, or a negative errno with a problem whose text names the field. limits as for vm_spec_parse(); a record beyond
 * today's limits is still a record, so only the form is checked against them. Unknown fields are kept nowhere and no
 * error. */
int vm_record_parse(const char *text, size_t len, const SpecLimits *limits, VMRecord **ret, Problem **ret_problem);

void vm_record_free(VMRecord *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VMRecord, vm_record_free)
