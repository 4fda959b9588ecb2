/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* A VM's Limits at its systemd unit. */

/* Before the unit starts: those of the spec, also none where a VM of that name has had some since the host's boot. A
 * refusal is told to the start's job. */
void limits_apply_at_start(VM *vm);

/* Gives the VM other limits, durably; a unit that runs has them when done is called. Those left out of the new ones are
 * none. NoSpace at once; NotSupported where systemd does not take them. */
int limits_set(VM *vm, const VMLimits *limits, VMDone done, void *userdata, Problem **ret_problem);

/* For the runtime's list of settings under way. */
void limits_setting_free(void *setting);
