/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Questions to a monitor that wait for its reply: each is answered once, by the reply or by the VM's end. */
GHashTable *requests_new(void);
void requests_reply(VM *vm, json_t *reply);
void requests_fail(GHashTable *requests, const char *error, const char *text);

/* vm-verbs.c: what a job under way wanted of the end. */
void vm_after_end(VM *vm);
