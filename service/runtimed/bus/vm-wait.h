/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* org.mcp.Runtime1.VM.Wait; userdata is the VM. Who waits is answered by vm_waits_look() and vm_waits_end(), see bus.h.
 */
int vm_method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error);
