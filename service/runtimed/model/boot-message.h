/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/problem.h"
#include "model/spec.h"

/* What guest init is told (shared/guest-wire.h, part 1): the spec over the image's own configuration. */

typedef struct ImageConfig {
        char **entrypoint, **cmd, **env, **ports;
        char *user, *workdir, *stop_signal;
} ImageConfig;

/* From the "config" object of a worker's answer or of an image record; missing members are empty, wrong types -EINVAL.
 */
int image_config_parse(json_t *object, ImageConfig **ret);
json_t *image_config_to_json(const ImageConfig *c);
ImageConfig *image_config_new(void); /* one that says nothing */
void image_config_free(ImageConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageConfig, image_config_free)

typedef struct BootNetwork {
        const char *address; /* "10.0.2.15/24", NULL: no eth0 */
        const char *gateway;
        char **dns; /* NULL-terminated, may be NULL */
} BootNetwork;

/* Copies, NULL-terminated, the caller's: Entrypoint + Command, else Entrypoint + Cmd, which may be empty; and the image's
 * environment with the spec's over it by key. */
char **boot_command_line(const VMSpec *spec, const ImageConfig *image);
char **boot_environment(const VMSpec *spec, const ImageConfig *image);

/* The boot message. Command given: Entrypoint + Command, else Entrypoint + Cmd; environment: the image's, then the
 * spec's over it by key; -EINVAL with InvalidSpec when there is no program at all or it is larger than GUEST_BOOT_MAX.
 */
int boot_message_build(const VMSpec *spec, const char *vm_name, const ImageConfig *image, const BootNetwork *network,
        GByteArray **ret, Problem **ret_problem);

/* Number of an image's StopSignal ("SIGTERM", "TERM", "15"); 15 where empty or unknown. */
int stop_signal_number(const char *text);
