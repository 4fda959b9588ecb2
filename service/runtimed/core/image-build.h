/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/image.h"

/* Makes ahead of time what a VM of this spec needs to boot: the kernel's initrd, or the Nanos guest's disk. A job of
 * kind "build". NoSuchImage, ToolMissing, InvalidSpec (an address that the disk needs and the spec does not name),
 * NoSuchNetwork at once. */
int image_build(Runtime *rt, uint32_t owner, const VMSpec *spec, Job **ret, Problem **ret_problem);
