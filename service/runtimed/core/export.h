/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* A VM as a systemd unit that needs no daemon. What is per boot, the boot message, is put into the VM's directory; the
 * unit's sandbox shows it that, and the image and the initrd where they lie. */

/* Once, with the text or a problem (both borrowed). */
typedef void (*ExportDone)(const char *text, const Problem *problem, void *userdata);

/* done may be called at once. */
void vm_export(VM *vm, ExportDone done, void *userdata);
