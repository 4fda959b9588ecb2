/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "guest/boot-message.h"

/* Mounts, from the initrd to the image. */

/* proc, sysfs and devtmpfs in the initrd. */
int rootfs_mount_kernel(struct failure *failure);

/* Waits for the disk with the serial tag, lays a tmpfs over its SquashFS, frees the initrd and makes that the root,
 * with /dev, /proc, /sys, /dev/pts, /dev/shm, /run and the usual links of /dev. */
int rootfs_enter(const char *tag, struct failure *failure);

/* Host name, /etc/hostname, /etc/hosts, and /etc/resolv.conf when the message has a resolver. To be called in the new
 * root. */
int rootfs_write_names(const struct boot_message *message, struct failure *failure);

/* A tmpfs at a path of the new root, whose last part is made where it is missing, also in place of a link. */
int rootfs_mount_tmpfs(const char *path, unsigned long flags, const char *options, struct failure *failure);
