/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/bus.h"
#include "qemu/profile-table.h"

/* A path that a worker may open: InvalidSpec where it is not plain, or not below the volume roots. */
int manager_check_path(const Bus *b, const char *path, sd_bus_error *error);

/* An option, NULL where it was left out: as images name it, static; NULL: the host's. */
int manager_check_architecture(
        Runtime *rt, const char *architecture, const char **ret_architecture, sd_bus_error *error);

/* NoSuchProfile. */
int manager_find_profile(const char *name, ProfileId *ret, sd_bus_error *error);

/* What BuildImage would make of the image, from its options (taken). */
int manager_parse_build(Bus *b, const char *reference, json_t *options, VMSpec **ret, sd_bus_error *error);

/* Handlers of org.mcp.Runtime1.Manager that are in manager-images.c, manager-registry.c, network.c and profile.c; userdata is the Bus. */
int manager_list_disks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_remove_disk(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_image_file(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_state(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_build_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_image_exists(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_create_network(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_network(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_list_networks(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_list_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_clean_images(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_pull_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_push_image(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_login(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_logout(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_select_profile(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_get_profile(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_list_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_profile(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_clean_profiles(sd_bus_message *m, void *userdata, sd_bus_error *error);
int manager_import_profile_file(sd_bus_message *m, void *userdata, sd_bus_error *error);
