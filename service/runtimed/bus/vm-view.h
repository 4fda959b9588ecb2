/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Methods of org.mcp.Runtime1.VM that return a stream socket to its console or display. */
int vm_method_open_console(sd_bus_message *m, void *userdata, sd_bus_error *error);
int vm_method_open_display(sd_bus_message *m, void *userdata, sd_bus_error *error);
