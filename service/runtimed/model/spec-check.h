/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/spec.h"

/* What the value of one key must be beyond its type. Each is called once per spec, in the order of the keys, when every
 * key of the right type has its value; it adds its problems to the list. */
typedef struct SpecCheck {
        const SpecLimits *limits;
        GPtrArray *problems;
        const char *key;
} SpecCheck;

typedef void (*SpecChecker)(const VMSpec *spec, const SpecCheck *check);

void spec_problem(const SpecCheck *check, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The same with another error than InvalidSpec. */
void spec_problem_named(const SpecCheck *check, const char *error, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* That a path of the host is below one of VolumeRoots; text is what the spec says. */
void spec_check_beneath_roots(const char *path, const char *text, const SpecCheck *check);

/* A key that says something to guest init, which a Nanos guest does not have. value: empty where it says nothing. */
void spec_check_for_linux(const VMSpec *spec, const char *value, const SpecCheck *check);

void spec_check_image(const VMSpec *spec, const SpecCheck *check);
void spec_check_target(const VMSpec *spec, const SpecCheck *check);
void spec_check_root_directory(const VMSpec *spec, const SpecCheck *check);
void spec_check_command(const VMSpec *spec, const SpecCheck *check);
void spec_check_environment(const VMSpec *spec, const SpecCheck *check);
void spec_check_user(const VMSpec *spec, const SpecCheck *check);
void spec_check_hostname(const VMSpec *spec, const SpecCheck *check);
void spec_check_working_directory(const VMSpec *spec, const SpecCheck *check);
void spec_check_memory(const VMSpec *spec, const SpecCheck *check);
void spec_check_vcpus(const VMSpec *spec, const SpecCheck *check);
void spec_check_network(const VMSpec *spec, const SpecCheck *check);
void spec_check_address(const VMSpec *spec, const SpecCheck *check);
void spec_check_dns(const VMSpec *spec, const SpecCheck *check);
void spec_check_ports(const VMSpec *spec, const SpecCheck *check);
void spec_check_kernel(const VMSpec *spec, const SpecCheck *check);
void spec_check_profile(const VMSpec *spec, const SpecCheck *check);
void spec_check_architecture(const VMSpec *spec, const SpecCheck *check);
void spec_check_restart(const VMSpec *spec, const SpecCheck *check);
void spec_check_stop_timeout(const VMSpec *spec, const SpecCheck *check);
void spec_check_credentials(const VMSpec *spec, const SpecCheck *check);
void spec_check_volumes(const VMSpec *spec, const SpecCheck *check);
void spec_check_shares(const VMSpec *spec, const SpecCheck *check);
void spec_check_disks(const VMSpec *spec, const SpecCheck *check);
void spec_check_archives(const VMSpec *spec, const SpecCheck *check);
void spec_check_labels(const VMSpec *spec, const SpecCheck *check);
void spec_check_ready(const VMSpec *spec, const SpecCheck *check);
void spec_check_health(const VMSpec *spec, const SpecCheck *check);
