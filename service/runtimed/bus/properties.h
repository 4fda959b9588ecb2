/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* The VM's properties: one getter for all, by name; see vm-properties.c. */
int vm_get_property(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
        void *userdata, sd_bus_error *error);

#define VM_PROPERTY(name, signature)                                                                                   \
        SD_BUS_PROPERTY(name, signature, vm_get_property, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define VM_PROPERTY_CONST(name, signature)                                                                             \
        SD_BUS_PROPERTY(name, signature, vm_get_property, 0, SD_BUS_VTABLE_PROPERTY_CONST)

#define VM_PROPERTIES                                                                                                  \
        VM_PROPERTY_CONST("Name", "s"), VM_PROPERTY_CONST("UUID", "s"), VM_PROPERTY_CONST("Owner", "u"),               \
                VM_PROPERTY("Image", "s"), VM_PROPERTY("ImageDigest", "s"), VM_PROPERTY("ImageHash", "s"),             \
                VM_PROPERTY("Version", "s"), VM_PROPERTY("Target", "s"), VM_PROPERTY("State", "s"),                    \
                VM_PROPERTY("StateReason", "s"), VM_PROPERTY("Ready", "b"), VM_PROPERTY("ExitCode", "i"),              \
                VM_PROPERTY("ExitReason", "s"), VM_PROPERTY("Restart", "s"), VM_PROPERTY("RestartCount", "u"),         \
                VM_PROPERTY("Network", "s"), VM_PROPERTY("Address", "s"), VM_PROPERTY("Endpoint", "s"),                \
                VM_PROPERTY("MACAddress", "s"), VM_PROPERTY("Ports", "a(ssqq)"), VM_PROPERTY("MemoryMiB", "u"),        \
                VM_PROPERTY("VCPUs", "u"), VM_PROPERTY("Architecture", "s"), VM_PROPERTY("Accelerator", "s"),          \
                VM_PROPERTY("Profile", "s"), VM_PROPERTY_CONST("Unit", "s"), VM_PROPERTY("MainPID", "u"),              \
                VM_PROPERTY_CONST("CreatedAt", "t"), VM_PROPERTY("StartedAt", "t"), VM_PROPERTY("ExitedAt", "t"),      \
                VM_PROPERTY("BootId", "u"), VM_PROPERTY("Labels", "a{ss}"), VM_PROPERTY("JobPath", "o"),               \
                VM_PROPERTY("Health", "s"), VM_PROPERTY("MemoryTarget", "t"), VM_PROPERTY("MemoryActual", "t")
