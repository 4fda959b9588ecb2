/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The state directory (default /var/lib/mcp-runtime), which belongs to the daemon alone:
 *   vms/NAME/meta.json        the VM's record        vms/NAME/exit    the monitor's last exit record
 *   vms/NAME/log0..log2       its console log        images/UID/HEX.json, HEX.squashfs   an image, by manifest digest;
 *                                                     HEX.oci   the archive that a push of it sends, where it is kept
 *   vms/NAME/volumes.squashfs, archives.squashfs      what it mounts beside its root, made for it alone
 *   disks/UID/NAME.img        a persistent disk
 *   cache/initrd-KEY          base initrd of a kernel     networks/NAME.json   a network
 *   cache/jobs/ID.json        a job, until its grace time is over; ID.last is the highest of those that were removed
 * Every name that begins with ATOMIC_TMP_PREFIX is half of something and is removed at start.
 */
typedef struct Store Store;

/* Makes what is missing, removes what is half but among the VMs: see store_vms_load() and store_vm_clean(). Negative errno. */
int store_open(const char *path, Store **ret);
Store *store_free(Store *s);

/* Removes what is half and that no worker writes; returns how much. */
unsigned store_clean(Store *s);

/* What the file system has for who is not root; 0 where it does not tell. */
uint64_t store_free_bytes(Store *s);

/* The same in one VM's directory, which need not be there. */
unsigned store_vm_clean(Store *s, const char *name);

/* Reads all records, in several threads where there are many, and removes what is half beside the VMs' directories.
 * read is called in any of them, with the text of a record (borrowed), or with why there is none: r is -ENOENT,
 * -ENOTDIR, -ELOOP, ... What it returns (never NULL) is given to found, which is called here, for one VM after another,
 * while others are read, and may remove that VM. */
typedef void *(*StoreVMRead)(int r, const char *text, size_t len, const void *context);
typedef void (*StoreVMFound)(const char *name, void *result, void *userdata);
void store_vms_load(Store *s, StoreVMRead read, const void *context, StoreVMFound found, void *userdata);

/* Writes the record durably, making the VM's directory where it is new. */
int store_vm_save(Store *s, const char *name, json_t *record);

/* Whether the record on disk says the same; the same for an image and a network below. */
bool store_vm_is_saved(Store *s, const char *name, json_t *record);

/* The directory goes at once (by rename), its content with it. */
int store_vm_remove(Store *s, const char *name);

/* Removes a directory in which nothing is; -ENOTEMPTY. */
int store_vm_remove_empty(Store *s, const char *name);

/* A small file of the VM's directory, written whole. */
int store_vm_put(Store *s, const char *name, const char *file, const void *data, size_t len, mode_t mode);

/* A file of the VM's directory; flags as open(2). Returns the descriptor. */
int store_vm_open(Store *s, const char *name, const char *file, int flags);

/* A file of the VM's directory that a worker makes: a new empty one, O_RDWR, with its temporary name (the caller's),
 * which gets its name or is dropped. */
int store_vm_create(Store *s, const char *name, char **ret_tmp);
int store_vm_commit(Store *s, const char *name, const char *tmp, const char *file);
void store_vm_discard(Store *s, const char *name, const char *tmp);

/* Bytes of a file of the VM's directory; 0 where it is not there. */
uint64_t store_vm_size(Store *s, const char *name, const char *file);

/* 0 also where it is not there. */
int store_vm_unlink(Store *s, const char *name, const char *file);

/* Disks: one sparse file each, of one owner. */
typedef void (*StoreDiskFound)(uint32_t owner, const char *name, uint64_t bytes, void *userdata);
void store_disks_each(Store *s, uint32_t owner, StoreDiskFound each, void *userdata);
uint64_t store_disk_size(Store *s, uint32_t owner, const char *name); /* 0: there is none */
int store_disk_open(Store *s, uint32_t owner, const char *name);      /* O_RDWR */
int store_disk_remove(Store *s, uint32_t owner, const char *name);

/* Disks of all owners, with how much of each is written. */
typedef void (*StoreDiskWritten)(uint32_t owner, uint64_t bytes, uint64_t written, void *userdata);
void store_disks_written(Store *s, StoreDiskWritten each, void *userdata);

/* A new one of so many bytes, which others may open through /proc until it is committed: the directory is closed to them. */
int store_disk_create(Store *s, uint32_t owner, uint64_t bytes, char **ret_tmp);
int store_disk_commit(Store *s, uint32_t owner, const char *tmp, const char *name);
void store_disk_discard(Store *s, uint32_t owner, const char *tmp);

/* Image records: calls each (or nobody, NULL) for every HEX.json; text is borrowed. Removes root images without a
 * record; returns how many. */
typedef void (*StoreImageFound)(uint32_t owner, const char *hex, const char *text, size_t len, void *userdata);
unsigned store_images_load(Store *s, StoreImageFound each, void *userdata);
int store_image_save(Store *s, uint32_t owner, const char *hex, json_t *record);
bool store_image_is_saved(Store *s, uint32_t owner, const char *hex, json_t *record);
int store_image_open(Store *s, uint32_t owner, const char *hex);
int store_image_open_archive(Store *s, uint32_t owner, const char *hex);
void store_image_drop_archive(Store *s, uint32_t owner, const char *hex);
int store_image_remove(Store *s, uint32_t owner, const char *hex);

/* Network records; text is borrowed. */
typedef void (*StoreNetworkFound)(const char *name, const char *text, size_t len, void *userdata);
void store_networks_load(Store *s, StoreNetworkFound each, void *userdata);
int store_network_save(Store *s, const char *name, json_t *record);
bool store_network_is_saved(Store *s, const char *name, json_t *record);
int store_network_remove(Store *s, const char *name);

/* Records of jobs, for the next daemon: not durable. text is borrowed, len 0 where it cannot be read; each may remove
 * it. Returns the highest number that a job had, of those that were removed before as well. */
typedef void (*StoreJobFound)(const char *text, size_t len, uint32_t id, void *userdata);
uint32_t store_jobs_load(Store *s, StoreJobFound each, void *userdata);
int store_job_save(Store *s, uint32_t id, json_t *record);
void store_job_remove(Store *s, uint32_t id);

/* A new empty file for a worker to write, O_RDWR; *ret_name is its temporary name, the caller's. */
int store_image_create(Store *s, uint32_t owner, char **ret_name);
int store_cache_create(Store *s, char **ret_name);

/* The temporary file, or another that belongs to an image, by its name, read-only; store_image_discard() removes it. */
int store_image_part_open(Store *s, uint32_t owner, const char *name);
int store_image_part_commit(Store *s, uint32_t owner, const char *tmp, const char *name);

/* The temporary file becomes the image's root, or the cache's entry; or is dropped. */
int store_image_commit(Store *s, uint32_t owner, const char *tmp, const char *hex);
int store_image_commit_archive(Store *s, uint32_t owner, const char *tmp, const char *hex);
int store_cache_commit(Store *s, const char *tmp, const char *key);
void store_image_discard(Store *s, uint32_t owner, const char *tmp);
void store_cache_discard(Store *s, const char *tmp);

/* Read-only; -ENOENT where it is not there. */
int store_cache_open(Store *s, const char *key);

/* Names in the cache but temporary ones. */
typedef void (*StoreCacheFound)(const char *name, void *userdata);
void store_cache_list(Store *s, StoreCacheFound each, void *userdata);
/* Its size in bytes, or a negative errno. */
int64_t store_cache_remove(Store *s, const char *name);

/* Small facts that outlive the daemon and may be lost: a JSON object by name, new reference or NULL. */
json_t *store_fact_load(Store *s, const char *name);
int store_fact_save(Store *s, const char *name, json_t *fact);
