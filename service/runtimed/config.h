/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/spec.h"

/* The daemon's settings: /etc/mcp-runtime/runtime.conf, then runtime.conf.d/ *.conf in order of their names; later
 * values win. Each key is documented with its default in the shipped units/runtime.conf. */
typedef struct Config {
        char *state_directory;
        char *qemu, *passt, *swtpm;
        char *ops, *ops_home; /* ops_home/.ops is what ops has fetched */
        char *kernel_directory, *modules_directory;
        char *guest_init;      /* and for others GUEST_INIT-ARCHITECTURE */
        char *foreign_kernels; /* ARCHITECTURE/boot and ARCHITECTURE/lib/modules below it */
        char *profile_directory; /* "": in the state directory */
        char **volume_roots;
        char *default_network;
        char *bridge, *subnet, *gateway; /* of the network that is always there; bridge "": there is none */
        uint32_t memory_mib, vcpus;
        uint64_t stop_timeout, boot_timeout, build_timeout; /* usec */
        uint64_t image_bytes_max, image_entries_max;
        uint32_t image_layers_max, image_depth_max, image_manifest_bytes_max, image_name_bytes_max;
        uint32_t worker_memory_mib, worker_cpu_sec; /* of one run of an image worker */
        uint64_t worker_time;                       /* usec, likewise */
        uint32_t builds_per_user, builds_max, queued_builds_max;
        char *skopeo;
        char *default_registry;     /* "": there is none */
        char **insecure_registries; /* host[:port] */
        uint64_t pull_timeout;      /* usec */
        uint64_t pull_bytes_max;
        bool keep_archives;
        uint64_t volume_bytes_max;                         /* of all volumes of a VM */
        char *mkfs;
        uint32_t disks_max;                                /* per uid */
        uint64_t user_disk_bytes;                          /* per uid: volumes and disks; 0: no limit */
        uint32_t vms_max, jobs_max;                        /* per uid */
        uint32_t running_max, user_memory_mib, user_vcpus; /* likewise; 0: no limit */
        uint64_t user_image_bytes;                         /* likewise */
        uint32_t spec_bytes_max, log_followers_max;        /* per uid; spec bytes 0: no limit */
        bool fair_shares;                                  /* of what users share, see core/pools.h */
        uint64_t reserved_bytes;                           /* of the store's file system, for root */
} Config;

/* path NULL: the installed file; a missing file means defaults. Returns NULL and sets *error on a file that cannot be
 * read, a key that is unknown or a value that is out of range. */
Config *config_load(const char *path, GError **error);
void config_free(Config *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* As uname(2) tells it; static. */
const char *config_host_architecture(void);

/* The limits a spec is checked against on this host. Borrowed strings. */
SpecLimits config_spec_limits(const Config *c);
