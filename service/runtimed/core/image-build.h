/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"

/* Makes ahead of time what a VM of this spec needs to boot: the kernel's initrd, or the Nanos guest's disk. A job of
 * kind "build". NoSuchImage, ToolMissing, InvalidSpec (an address that the disk needs and the spec does not name),
 * NoSuchNetwork at once. */
int image_build(Runtime *rt, uint32_t owner, const VMSpec *spec, Job **ret, Problem **ret_problem);

/* On a network the address is part of a Nanos guest's disk, so it must be known: as NanosWish has it, NULL where there
 * is none. */
int image_build_address(Runtime *rt, const VMSpec *spec, char **ret, char **ret_gateway, Problem **ret_problem);

/* A disk that was made of an image goes to a registry as an artifact, and comes back to that image on another host: no
 * ops is needed there. Jobs of kinds "push" and "pull". */
int nanos_push(
        Runtime *rt, uint32_t owner, const VMSpec *spec, const char *destination, Job **ret, Problem **ret_problem);
int nanos_pull(Runtime *rt, uint32_t owner, const char *reference, Job **ret, Problem **ret_problem);
