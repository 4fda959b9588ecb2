/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

/* Which files are known to hold which bytes: (device, inode, size, mtime, ctime) of a file whose SHA-256 was seen. A file that
 * differs in one of them is unknown. Links change ctime, so who makes or removes one keeps the record up by verified_keep(). */
typedef struct Verified Verified;

#define VERIFIED_MAX 200000U /* more are forgotten all at once, and read again */

/* The record NAME in dir; empty where it is missing or broken. */
Verified *verified_load(int dir, const char *name);
Verified *verified_free(Verified *v);
int verified_save(Verified *v, int dir, const char *name);

bool verified_matches(const Verified *v, const struct stat *st, const char *hash);
void verified_add(Verified *v, const struct stat *st, const char *hash);

void verified_forget(Verified *v, const struct stat *st);

/* A link of ours to the file was made or removed between the two: what was known stays known, and nothing else does. */
void verified_keep(Verified *v, const struct stat *before, const struct stat *after);
