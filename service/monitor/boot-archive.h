/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For a machine without fw_cfg: a sealed memfd with the initrd, and after it a second archive that has the boot message
 * as GUEST_BOOT_FILE. Both are read from their start and borrowed. Returns the descriptor, or a negative errno. */
int boot_archive_append(int initrd, int boot_message);
