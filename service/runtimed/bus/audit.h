/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "bus/gate.h"

/*
 * One line in the journal for each change that was asked for, granted or not (journalctl MESSAGE_ID=AUDIT_MESSAGE_ID).
 * Fields: MCP_METHOD, MCP_OBJECT, MCP_ACTION (polkit's, space-separated), MCP_ANSWER (granted, refused, failed),
 * MCP_ERROR, MCP_CALLER_UID, MCP_CALLER_USER, MCP_CALLER_PID, MCP_CALLER_BUS_NAME, MCP_CALLER_UNIT, MCP_CALLER_SESSION.
 * Control characters are escaped; commands, environments and credentials never get here.
 */
#define AUDIT_MESSAGE_ID "6d1f3bb5a2c94b6a9a58cf0b7f0d4e21"

/* Asks for the unit of a caller, once, while it waits for its reply. */
void audit_new_caller(Bus *b, const char *sender, uint32_t pid);

/* answer: static. error: name of the bus error, NULL where there is none. */
void audit_log(const Call *c, const char *answer, const char *error);
