/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Handlers of org.mcp.Runtime1.Manager that are in manager-images.c, manager-registry.c and network.c; userdata is the Bus. */
int manager_import_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_image_file(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_image_exists(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_create_network(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_network(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_list_networks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_list_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_clean_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_pull_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_push_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_login(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_logout(sd_bus_message *m, void *userdata, sd_bus_error *error);
