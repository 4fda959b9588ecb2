/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "worker/job.h"

/* The first root of every Linux guest: guest init and the kernel modules it loads before it can mount the image. */
int initrd_run(struct job *job, json_t **ret_done, struct failure *f);
