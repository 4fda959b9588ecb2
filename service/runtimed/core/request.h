/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/vm.h"

/* Questions to a monitor that wait for its reply: each is answered once, by the reply, by the VM's end or, where the monitor
 * keeps silent, by GuestNotResponding after a quarter of a minute. */
void requests_reply(VM *vm, json_t *reply);
void requests_fail(VM *vm, const char *error, const char *text);

/* Asks the monitor; message without its id, the reference is taken. done is called once, also when the monitor goes; where
 * this fails, never. -EBUSY, -ENOTCONN. */
int request_send(VM *vm, json_t *message, VMDone done, void *userdata);

/* The same with a descriptor (borrowed). */
int request_send_fd(VM *vm, json_t *message, int fd, VMDone done, void *userdata);

/* The same for what shall end the VM: its end is no failure. */
int request_end(VM *vm, json_t *message, VMDone done, void *userdata);

/* The same for an answer that holds something: reply is borrowed, NULL with a problem. */
typedef void (*RequestAnswered)(json_t *reply, const Problem *problem, void *userdata);
int request_ask(VM *vm, json_t *message, RequestAnswered answered, void *userdata);

/* VMNotRunning, with verb and state in the text. */
int request_fail_state(VM *vm, const char *verb, Problem **ret_problem);
