/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owns the authorization table and the actions that a spec adds. */
#include "authz/table.h"

#include <string.h>

static const AuthRow rows[] = {
        {"Manager", "CreateVM", AUTH_ASK, "run-vm", NULL},
        {"Manager", "RunVM", AUTH_ASK, "run-vm", NULL},
        {"Manager", "GetVM", AUTH_OPEN, NULL, NULL},
        {"Manager", "ListVMs", AUTH_OPEN, NULL, NULL},
        {"Manager", "ValidateVM", AUTH_OPEN, NULL, NULL},
        {"Manager", "CreateNetwork", AUTH_ASK, "manage-networks", NULL},
        {"Manager", "GetNetwork", AUTH_OPEN, NULL, NULL},
        {"Manager", "ListNetworks", AUTH_OPEN, NULL, NULL},
        {"Network", "Remove", AUTH_ASK, "manage-networks", NULL},
        {"Network", "Update", AUTH_ASK, "manage-networks", NULL},
        {"Manager", "ImportImage", AUTH_ASK, "import-image", NULL},
        {"Manager", "ImportImageFile", AUTH_ASK, "import-image", NULL}, /* and use-host-path */
        {"Manager", "PullImage", AUTH_ASK, "pull-image", NULL},
        {"Manager", "PushImage", AUTH_ASK, "push-image", NULL},
        {"Manager", "Login", AUTH_ASK, "pull-image", NULL},
        {"Manager", "Logout", AUTH_ASK, "pull-image", NULL},
        {"Manager", "BuildImage", AUTH_ASK, "import-image", NULL},
        {"Manager", "ImageExists", AUTH_OPEN, NULL, NULL},
        {"Manager", "GetImage", AUTH_OPEN, NULL, NULL},
        {"Manager", "ListImages", AUTH_OPEN, NULL, NULL},
        {"Manager", "CleanImages", AUTH_ASK, "import-image", NULL}, /* and manage-service */
        {"Manager", "SelectProfile", AUTH_OPEN, NULL, NULL},
        {"Manager", "GetProfile", AUTH_OPEN, NULL, NULL},
        {"Manager", "ListProfiles", AUTH_OPEN, NULL, NULL},
        {"Manager", "ImportProfile", AUTH_ASK, "manage-profiles", NULL},
        {"Manager", "ImportProfileFile", AUTH_ASK, "manage-profiles", NULL}, /* and use-host-path */
        {"Manager", "CleanProfiles", AUTH_ASK, "manage-profiles", NULL},
        {"Profile", "Resolve", AUTH_OPEN, NULL, NULL},
        {"Profile", "Explain", AUTH_OPEN, NULL, NULL},
        {"Profile", "Assemble", AUTH_ASK, "manage-profiles", NULL},
        {"Profile", "Verify", AUTH_ASK, "manage-profiles", NULL},
        {"Manager", "ImportState", AUTH_ASK, "manage-service", NULL}, /* and use-host-path */
        {"Manager", "ListDisks", AUTH_OPEN, NULL, NULL},
        {"Manager", "RemoveDisk", AUTH_ASK, "run-vm", NULL},
        {"Manager", "ListJobs", AUTH_OPEN, NULL, NULL},
        {"Manager", "GetMetrics", AUTH_OPEN, NULL, NULL}, /* public as properties are, and as /proc is */
        {"Manager", "Reconcile", AUTH_ASK, "manage-service", NULL},
        {"VM", "Start", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Stop", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Kill", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Pause", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Resume", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Reset", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Remove", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "Update", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "SetMemory", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "SetLimits", AUTH_ASK, "run-vm", "manage-vms"}, /* and manage-vms for more than others have */
        {"VM", "OpenConsole", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "OpenDisplay", AUTH_ASK, "run-vm", "manage-vms"},
        {"VM", "GetSpec", AUTH_OWNER, NULL, "manage-vms"},
        {"VM", "DescribeCommand", AUTH_OWNER, NULL, "manage-vms"},
        {"VM", "ExportUnit", AUTH_OWNER, NULL, "manage-vms"},
        {"VM", "ReadLog", AUTH_OWNER, NULL, "manage-vms"},
        {"VM", "OpenLog", AUTH_OWNER, NULL, "manage-vms"},
        {"VM", "Wait", AUTH_OPEN, NULL, NULL},
        {"Job", "Cancel", AUTH_OWNER, NULL, "manage-vms"},
        {"Job", "Wait", AUTH_OWNER, NULL, "manage-vms"},
        {"Job", "GetLog", AUTH_OWNER, NULL, NULL},
        {"Image", "Remove", AUTH_ASK, "import-image", "manage-images"},
        {"Image", "Verify", AUTH_OWNER, NULL, "manage-images"},
        {"Image", "GetConfig", AUTH_OWNER, NULL, NULL},
        {NULL, NULL, AUTH_OPEN, NULL, NULL},
};

const AuthRow *auth_rows(void) {
        return rows;
}

const AuthRow *auth_row_find(const char *interface, const char *member) {
        for (const AuthRow *r = rows; r->interface; r++)
                if (strcmp(r->interface, interface) == 0 && strcmp(r->member, member) == 0)
                        return r;
        return NULL;
}

static bool publishes_port(const VMSpec *spec) {
        for (size_t i = 0; i < spec->n_ports; i++)
                if (port_forward_is_privileged(&spec->ports[i]))
                        return true;
        return false;
}

char *auth_spec_ports(const VMSpec *spec) {
        GString *ports = g_string_new(NULL);

        for (size_t i = 0; i < spec->n_ports; i++) {
                g_autofree char *port = port_forward_to_string(&spec->ports[i]);

                g_string_append_printf(ports, "%s%s", i ? " " : "", port);
        }
        return g_string_free(ports, FALSE);
}

size_t auth_spec_actions(const VMSpec *spec, const char *ret[static AUTH_EXTRA_MAX]) {
        size_t n = 0;

        if (limits_are_above_default(&spec->limits))
                ret[n++] = "manage-vms";
        if (network_is_bridge(spec->network))
                ret[n++] = "attach-bridge";
        else if (publishes_port(spec))
                ret[n++] = "publish-port";
        if ((spec->volumes && *spec->volumes) || (spec->shares && *spec->shares) ||
                (spec->root_directory && *spec->root_directory))
                ret[n++] = "use-host-path";
        return n;
}
