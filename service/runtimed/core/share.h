/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Opens the directories that the VM shares, in the order of its spec. InvalidSpec, naming the path; then nothing is open. */
int shares_open(VM *vm, int fds[static SPEC_SHARES_MAX], size_t *ret_n, Problem **ret_problem);

/* The directory that is the VM's root. A descriptor, or a negative errno with InvalidSpec, naming the path. */
int root_directory_open(VM *vm, Problem **ret_problem);
