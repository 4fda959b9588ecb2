/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* User networking: the helper mcp-passt@ of a VM, and the host's ports that it has bound. */

/* For a boot, which is told the outcome by boot_networked() or boot_network_failed(). sock: mcp-passt's end of the
 * socket that QEMU has the other end of; probes: of the one that the monitor has the other end of, -1 where mcp-passt
 * does not probe the guest. Both are taken. 0 or a negative errno. */
int user_network_start(VM *vm, int sock, int probes);

/* The boot, or the VM's run, is over. */
void user_network_stop(VM *vm);

/* Forgets what is in memory: the VM's object goes. */
void user_network_free(VM *vm);

/* Within LaunchStranger: mcp-passt has come back after the daemon's restart. */
void user_network_adopt(VM *vm, const json_t *hello);

/* Publishes the ports of spec (borrowed) in place of the VM's own; the guest's connections to the outside and those
 * through the old ports end. done comes once, with PortInUse, Busy or VMNotRunning where it could not be: then the old
 * ports are as they were. ret_host_ports of user_network_take_ports() are then the new ones. */
int user_network_publish(VM *vm, const VMSpec *spec, VMDone done, void *userdata, Problem **ret_problem);

/* The host's ports that were picked at the last publication, one for each port of the spec; NULL when none was left
 * open. The caller's (g_free). */
uint16_t *user_network_take_ports(VM *vm);
