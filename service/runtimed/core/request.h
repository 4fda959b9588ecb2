/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Questions to a monitor that wait for its reply: each is answered once, by the reply, by the VM's end or, where the monitor
 * keeps silent, by GuestNotResponding after a quarter of a minute. */
void requests_reply(VM *vm, json_t *reply);
void requests_fail(VM *vm, const char *error, const char *text);

/* vm-verbs.c: what a job under way wanted of the end. */
void vm_after_end(VM *vm);

/* Asks the monitor; message without its id, the reference is taken. done is called once, also when the monitor goes.
 * -EBUSY, -ENOTCONN. */
int request_send(VM *vm, json_t *message, VMDone done, void *userdata);

/* The same for an answer that holds something: reply is borrowed, NULL with a problem. */
typedef void (*RequestAnswered)(json_t *reply, const Problem *problem, void *userdata);
int request_ask(VM *vm, json_t *message, RequestAnswered answered, void *userdata);

/* VMNotRunning or Busy, with verb in the text. */
int request_fail_state(VM *vm, const char *verb, Problem **ret_problem);
