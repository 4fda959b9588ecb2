/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* What a VM mounts beside its root, made before its boot by image workers: the image of its volumes, the image of its
 * archives, which stay in its directory as long as the VM, and its disks (core/disk.h). Each is made once. */

typedef struct Storage Storage;

/* problem is borrowed. The Storage is gone after the call. */
typedef void (*StorageDone)(const Problem *problem, void *userdata);

/* Makes what is missing. *ret is NULL when done was called at once. */
void storage_ensure(VM *vm, StorageDone done, void *userdata, Storage **ret);

/* Ends the work under way and drops what is half; done is not called. NULL is fine; returns NULL. */
Storage *storage_cancel(Storage *s);

/* The descriptor of a made image for QEMU, read-only. */
int storage_open_volumes(VM *vm);
int storage_open_archives(VM *vm);

/* The volumes are made anew at the next start. */
int storage_forget_volumes(VM *vm);

/* Where volumes come from, for who wants them in another form than storage_open_volumes(): the paths of the host that
 * the spec names, beneath rt->config->volume_roots (model/mount.h), and the tars that came with RunVM, which are there
 * until the first start has read them: vm->payload.archives. */

/* Bytes of images of volumes that count as the owner's: of one VM, of all the owner has. */
uint64_t storage_bytes_of_vm(const VM *vm);
uint64_t storage_bytes_of(Runtime *rt, uint32_t owner);
