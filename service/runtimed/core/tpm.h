/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* The TPM of a VM with UEFI: swtpm in mcp-tpm@INSTANCE, whose state is a file among the VM's own. */

/* problem NULL: it listens on its socket (borrowed). Called once, after tpm_start(). */
typedef void (*TPMDone)(VM *vm, const Problem *problem);

/* Starts it; *ret_socket is QEMU's end, the caller's. */
int tpm_start(VM *vm, TPMDone done, int *ret_socket);

/* Ends it, where there is one. */
void tpm_stop(VM *vm);

/* ToolMissing where firmware or swtpm is not there. */
int tpm_check_tools(Runtime *rt, const VMSpec *spec, Problem **ret_problem);
