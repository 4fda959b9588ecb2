/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Methods of org.mcp.Runtime1.VM about what a VM takes of the host. */
int vm_method_set_memory(sd_bus_message *m, void *userdata, sd_bus_error *error);
int vm_method_set_limits(sd_bus_message *m, void *userdata, sd_bus_error *error);
